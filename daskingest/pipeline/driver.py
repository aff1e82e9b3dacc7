"""The driver: carries out on a Dask cluster what `dispatch` decides.

Each batch is extracted by one task, which hands the counts to the saver and returns only the
rejects to the driver. The saver tells the driver that a batch is done, once the commit is in the
store. If anything dies in between, the batch is submitted again; the store's ledger ensures that it
is counted once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Coroutine
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

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
from daskingest.pipeline.savers import Savers
from daskingest.pipeline.task import TaskResult, count_batch

log = logging.getLogger(__name__)


class Observer:
    """Is notified of a driver's results. This one ignores them."""

    async def finished(self, batch: Finished) -> None:
        """The store has a batch, or a part of one. The driver waits until this returns."""

    def extracted(self, seconds: float) -> None:
        """A batch was extracted, in `seconds`."""

    def committed(self, commit: Commit) -> None:
        """The saver made a commit to the store."""


@dataclass(frozen=True, slots=True)
class Work:
    """The model that workers extract with, the store of the saver, and seconds between commits."""

    model: str
    store_url: str
    flush_interval: float


class Driver:
    """Takes batches through a cluster into a store. Open one with `open_driver`.

    Everything that happens becomes an event in one queue, and `run` handles one event at a time.
    """

    def __init__(self, client: Client, work: Work, observer: Observer) -> None:
        self.workers = 1
        self._client = client
        self._model = work.model
        self._observer = observer
        self._savers = Savers(client, work.store_url, work.flush_interval, self._saver_started)
        self._submitted = 0
        self._trouble = ""
        self._stopping = False
        self._dispatcher: Dispatcher | None = None
        self._events: asyncio.Queue[Event | DaskingestError] = asyncio.Queue()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def trouble(self) -> str:
        """What is keeping counts out of the store, if anything is."""
        if self._savers.awaited:
            return f"waiting for a worker with the resource {SAVER!r}"
        if not self.workers:
            return f"no worker with the resource {EXTRACT!r}; waiting for one"
        return self._trouble

    @property
    def in_flight(self) -> int:
        """How many tasks the workers have."""
        return self._dispatcher.in_flight if self._dispatcher else 0

    def stop(self) -> None:
        """Submit nothing more; `run` returns once what is in flight is in the store."""
        self._stopping = True
        self._events.put_nowait(StopAsked())

    def wake(self) -> None:
        """Ask the source for batches again: there may be some now."""
        self._events.put_nowait(Woken())

    async def ledger(self, run: str) -> Ledger:
        """The store's ledger of a run."""
        return await self._savers.ledger(run)

    async def enter(self, batch_id: BatchId, entry: Entry) -> None:
        """Put an entry of a run itself into the ledger, unless it is there. Returns when it is."""
        await self._savers.enter(batch_id, entry)

    async def forget(self, batch_ids: Collection[BatchId]) -> None:
        """Remove batches from the ledger eventually: they must never be submitted again.

        If the saver is lost before it has removed them, they stay.
        """
        with suppress(SaverLost):
            if self._savers.current is not None:
                await self._savers.current.forget(batch_ids)

    async def run(self, source: BatchSource, ledger: Ledger) -> bool:
        """Count the batches of `source` that `ledger`, the run's ledger, does not have.

        Returns True when there will be no more batches and the store has all of them, or False when
        stopped. Raises DaskingestError if a batch cannot be read.
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
        except SaverLost:
            self._events.put_nowait(NotHandedOver(batch_id, number))

    async def _drain(self, number: int) -> None:
        with suppress(SaverLost):  # `_listen` notices too
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
            self._model,
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
        except SaverLost as error:
            return SaverUnreached(batch_id, str(error))
        except CancelledError:  # of futures; asyncio's is another
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
            entries |= await self._savers.ledger(run)
        saver = await self._savers.ready()
        self._events.put_nowait(SaverStarted(saver.number, entries))

    async def _listen(self, saver: SaverClient) -> None:
        """Pass on the reports of this saver, until it is lost."""
        try:
            while True:
                self.workers = await count_workers(self._client, EXTRACT)
                self._events.put_nowait(WorkersSeen(self.workers))
                self._reported(await saver.report())
        except (SaverLost, OSError) as error:
            log.warning("the saver was lost (%s); starting another", error)
            self._savers.drop(saver)
            self._events.put_nowait(SaverGone(saver.number))

    def _reported(self, report: Report) -> None:
        self._trouble = report.trouble
        for commit in report.commits:
            self._observer.committed(commit)
        self._events.put_nowait(Reported(report.committed, report.refused))

    # Background tasks.

    def _spawn(self, work: Coroutine[object, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Have an error of a background task end the run."""
        self._background.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        ours = error
        if not isinstance(ours, DaskingestError):
            ours = DaskingestError(f"the run failed: {type(error).__name__}: {error}")
            ours.__cause__ = error
        self._events.put_nowait(ours)

    async def close(self) -> None:
        """Stop all background tasks. What is in flight ends with the cluster."""
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def open_driver(client: Client, work: Work, observer: Observer) -> AsyncIterator[Driver]:
    """A driver on a cluster. Its saver is started when it is first needed."""
    driver = Driver(client, work, observer)
    try:
        yield driver
    finally:
        await driver.close()
