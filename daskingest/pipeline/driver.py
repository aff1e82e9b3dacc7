"""The driver: carries out on a Dask cluster what `dispatch` decides.

Each batch is extracted by one task, which hands the counts to the saver and tells the driver of the
rejects only. That a batch is done the driver hears from the saver, when the commit is in the store.
Whatever dies in between, the batch is submitted again; the store's ledger sees to it that it is
counted once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Coroutine
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress

from distributed import Client, Future, KilledWorker

from daskingest.counts import Counts
from daskingest.errors import DaskingestError
from daskingest.ledger import BatchId, Entry, Ledger
from daskingest.pipeline.actors import SaverLost
from daskingest.pipeline.batch import Batch, BatchSource
from daskingest.pipeline.cluster import EXTRACT, SAVER, count_workers
from daskingest.pipeline.dispatch import Dispatcher
from daskingest.pipeline.events import (
    CountRows,
    Drain,
    End,
    Event,
    Extracted,
    Fail,
    Finished,
    HandOver,
    Instruction,
    NotHandedOver,
    Reported,
    RowsCounted,
    SaverGone,
    SaverStarted,
    SaverUnreached,
    StartSaver,
    StopAsked,
    Submit,
    Take,
    Taken,
    TaskFailed,
    Woken,
    WorkerDied,
    WorkersSeen,
)
from daskingest.pipeline.pending import Commit, Report
from daskingest.pipeline.saver_client import SaverClient, scheduler_lost
from daskingest.pipeline.savers import Savers, Work
from daskingest.pipeline.store_place import require_one_store
from daskingest.pipeline.task import TaskResult, count_batch
from daskingest.stores import Replaced

log = logging.getLogger(__name__)


class Observer:
    """Is told what comes of a driver's work. This one doesn't listen."""

    async def finished(self, batch: Finished) -> None:
        """The store has a batch, or a part of one. The driver goes on when this has returned."""

    def extracted(self, seconds: float) -> None:
        """A batch was extracted, in so many seconds."""

    def committed(self, commit: Commit) -> None:
        """The store was written to."""


class Driver:
    """Sees batches through a cluster into a store. Open one with `open_driver`.

    All that happens becomes an event in one queue, and is dealt with one at a time, in `run`.
    """

    def __init__(self, client: Client, work: Work, observer: Observer) -> None:
        self.workers = 1
        self._client = client
        self._work = work
        self._observer = observer
        self._savers = Savers(client, work, self._saver_started)
        self._submitted = 0
        self._trouble = ""
        self._stopping = False
        self._dispatcher: Dispatcher | None = None
        self._events: asyncio.Queue[Event | DaskingestError] = asyncio.Queue()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def trouble(self) -> str:
        """What keeps counts from getting into the store, if anything does."""
        if self._savers.awaited:
            return f"waiting for a worker with the resource {SAVER!r}"
        if not self.workers:
            return f"no worker with the resource {EXTRACT!r}; waiting for one"
        return self._trouble

    @property
    def in_flight(self) -> int:
        """How many tasks are with the workers."""
        return self._dispatcher.in_flight if self._dispatcher else 0

    def stop(self) -> None:
        """Submit nothing more; `run` returns when what is in flight is in the store."""
        self._stopping = True
        self._events.put_nowait(StopAsked())

    def wake(self) -> None:
        """Ask the source again: there may be batches now."""
        self._events.put_nowait(Woken())

    async def take_over(self, run: str) -> Ledger:
        """Hold a run from now on; whoever held it before can commit nothing more.

        Returns what the store's ledger has of it.
        """
        return await self._savers.take_over(run)

    async def enter(self, batch_id: BatchId, entry: Entry) -> None:
        """Put an entry of the run's own into the ledger, if it isn't there. Returns when it is."""
        await self._savers.enter(batch_id, entry)

    async def forget(self, run: str, up_to: int) -> None:
        """The run's source has forgotten all its batches up to this number: the ledger may, too."""
        with suppress(SaverLost):
            if self._savers.current is not None:
                await self._savers.current.forget(run, up_to)

    async def run(self, source: BatchSource, ledger: Ledger) -> bool:
        """Count the batches that `ledger`, of the same run, does not have.

        Returns when there will be no more and the store has all of them (True), or when stopped
        (False). Raises DaskingestError when a batch cannot be read.
        """
        saver = await self._savers.ready()
        self._dispatcher = Dispatcher(ledger, saver.number, self.workers)
        begin = self._dispatcher.begin
        instructions = self._dispatcher.handle(StopAsked()) if self._stopping else begin()
        while True:
            for each in instructions:
                match each:
                    case End(complete):
                        return complete
                    case Fail(error):
                        raise error
                    case Finished():
                        await self._observer.finished(each)
                    case _:
                        self._carry_out(each, source)
            event = await self._events.get()
            if isinstance(event, DaskingestError):
                raise event
            instructions = self._dispatcher.handle(event)

    def _carry_out(self, instruction: Instruction, source: BatchSource) -> None:
        match instruction:
            case Take(most, idle):
                self._spawn(self._take(source, most, idle))
            case Submit(batch):
                self._submit(batch)
            case CountRows(batch):
                self._spawn(self._count_rows(batch))
            case HandOver(batch_id, entry, saver):
                self._spawn(self._hand_over(batch_id, entry, saver))
            case Drain(saver):
                self._spawn(self._drain(saver))
            case StartSaver(runs):
                self._spawn(self._replace_saver(runs))

    async def _take(self, source: BatchSource, most: int, idle: int) -> None:
        self._events.put_nowait(Taken(await source.take(most, idle)))

    async def _count_rows(self, batch: Batch) -> None:
        rows = await asyncio.to_thread(batch.count_rows)
        self._events.put_nowait(RowsCounted(batch.id, rows))

    async def _hand_over(self, batch_id: BatchId, entry: Entry, number: int) -> None:
        try:
            saver = self._savers.with_number(number)
            await saver.add(batch_id, Counts(), entry)
            await saver.drain()
        except (SaverLost, Replaced):
            self._events.put_nowait(NotHandedOver(batch_id, number))

    async def _drain(self, number: int) -> None:
        with suppress(SaverLost, Replaced):  # the listener finds out as well
            await self._savers.with_number(number).drain()

    # Tasks.

    def _submit(self, batch: Batch) -> None:
        saver = self._savers.current
        if saver is None:
            self._events.put_nowait(SaverUnreached(batch.id, "it is being replaced"))
            return
        self._submitted += 1
        future = self._client.submit(
            count_batch,
            batch,
            self._work.model,
            self._work.recognizer,
            saver.ref,
            key=f"extract-{batch.id}-{self._submitted}",
            resources={EXTRACT: 1},
            pure=False,
        )
        self._spawn(self._watch(batch.id, future))

    async def _watch(self, batch_id: BatchId, future: Future[TaskResult]) -> None:
        self._events.put_nowait(await self._outcome(batch_id, future))

    async def _outcome(self, batch_id: BatchId, future: Future[TaskResult]) -> Event:
        try:
            result = await future
        except KilledWorker:
            return WorkerDied(batch_id)
        except (SaverLost, Replaced) as error:
            return SaverUnreached(batch_id, str(error))
        except CancelledError:  # of futures; a task's is another
            raise scheduler_lost() from None
        except Exception as error:
            return TaskFailed(batch_id, error)
        self._observer.extracted(result.seconds)
        return Extracted(batch_id, result.rejects)

    # Savers.

    def _saver_started(self, saver: SaverClient) -> None:
        self._trouble = ""
        self._spawn(self._listen(saver))

    async def _replace_saver(self, runs: Collection[str]) -> None:
        entries: Ledger = {}
        for run in runs:
            entries |= await self._savers.take_over(run)
        saver = await self._savers.ready()
        self._events.put_nowait(SaverStarted(saver.number, entries))

    async def _listen(self, saver: SaverClient) -> None:
        """Pass on what this saver reports, until it is lost."""
        try:
            while True:
                self.workers = await count_workers(self._client, EXTRACT)
                self._events.put_nowait(WorkersSeen(self.workers))
                self._reported(await saver.report(), saver)
        except (SaverLost, Replaced, OSError) as error:
            if isinstance(error, Replaced):
                self._savers.check_replaced(error)
            log.warning("the saver was lost (%s); starting another", error)
            self._savers.drop(saver)
            self._events.put_nowait(SaverGone(saver.number))

    def _reported(self, report: Report, saver: SaverClient) -> None:
        if saver is self._savers.current:
            self._trouble = report.trouble
        for commit in report.commits:
            self._observer.committed(commit)
        self._events.put_nowait(Reported(report.committed, report.refused, report.invalid))

    # What goes on meanwhile.

    def _spawn(self, work: Coroutine[object, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """What went wrong in the background ends the run."""
        self._background.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        ours = error
        if not isinstance(ours, DaskingestError):
            ours = DaskingestError(f"the run failed: {type(error).__name__}: {error}")
            ours.__cause__ = error
        self._events.put_nowait(ours)

    async def close(self) -> None:
        """Stop listening. What is in flight is left to the cluster's end."""
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def open_driver(client: Client, work: Work, observer: Observer) -> AsyncIterator[Driver]:
    """A driver on a cluster, whose saver is started when it is first needed.

    Raises UsageError if that would write to another file than the store here.
    """
    await require_one_store(client, work.store_url)
    driver = Driver(client, work, observer)
    try:
        yield driver
    finally:
        await driver.close()
