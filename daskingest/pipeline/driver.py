"""The driver: carries out on a Dask cluster what `dispatch` decides.

Each batch is extracted by one task, which hands the counts to the saver, or to each of several
what is in its shards, and returns only the rejects to the driver. A saver tells the driver that a
batch is done, once the commit is in the store. If anything dies in between, the batch is submitted
again; the store's ledger ensures that it is counted once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from distributed import Client

from daskingest.errors import DaskingestError
from daskingest.ledger import BatchId, Entry, Ledger
from daskingest.packed import CompressedCounts
from daskingest.pipeline.actors import SaverLost
from daskingest.pipeline.batch import Batch, BatchSource
from daskingest.pipeline.crew import Crew, Hooks
from daskingest.pipeline.deadlines import TimeLimit
from daskingest.pipeline.dispatch import Dispatcher
from daskingest.pipeline.events import (
    CountRows,
    Drain,
    End,
    Event,
    Fail,
    Finished,
    GivenUp,
    HandOver,
    Instruction,
    KillWorker,
    LookAtWorker,
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
    Tick,
    Withdraw,
    Woken,
    WorkersSeen,
)
from daskingest.pipeline.lookout import Lookout
from daskingest.pipeline.pending import Commit, Report
from daskingest.pipeline.saver_client import SaverClient
from daskingest.pipeline.saver_places import SaverPlaces, trouble_of
from daskingest.pipeline.savers import Work
from daskingest.pipeline.store_place import require_one_store
from daskingest.stores import Replaced

_LOOK_SECONDS = 1.0

log = logging.getLogger(__name__)
T = TypeVar("T")


class Observer:
    """Is notified of a driver's results. This one ignores them."""

    async def finished(self, batch: Finished) -> None:
        """The store has a batch, or a part of one. The driver waits until this returns."""

    def given_up(self, batch: GivenUp) -> None:
        """A batch cannot be counted; if this returns, the others are. This one raises the error."""
        raise batch.error

    def extracted(self, seconds: float) -> None:
        """A batch was extracted, in `seconds`."""

    def committed(self, commit: Commit) -> None:
        """The saver made a commit to the store."""


class Driver:
    """Takes batches through a cluster into a store. Open one with `open_driver`.

    Everything that happens becomes an event in one queue, and `run` handles one event at a time.
    """

    def __init__(self, client: Client, work: Work, observer: Observer) -> None:
        self._limit = TimeLimit(work.batch_timeout)
        self._observer = observer
        hooks = Hooks(self._tell, observer.extracted, self._spawn)
        self._crew = Crew(client, work, hooks)
        self._savers = SaverPlaces(client, work, self._saver_started)
        self._troubles = [""] * work.savers
        self._lookout = Lookout(client, self._crew, self._savers, work.lost_workers)
        self._failure: asyncio.Future[DaskingestError] = asyncio.get_running_loop().create_future()
        self._stopping = False
        self._untold = 0  # bytes of sources, of batches that the observer is about to be told of
        self._dispatcher: Dispatcher | None = None
        self._events: asyncio.Queue[Event | DaskingestError] = asyncio.Queue()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def trouble(self) -> str:
        """What is keeping counts out of the store, if anything is."""
        return self.missing or self.hindrance

    @property
    def missing(self) -> str:
        """What is missing in the cluster; it is logged, too."""
        return self._lookout.missing

    @property
    def hindrance(self) -> str:
        """What else is keeping counts out of the store."""
        if self.late:
            batch_id = next(iter(self.late))  # for how long, it would be told as news each time
            return f"batch {batch_id} is taking long; it is ended at its time limit"
        return trouble_of(self._troubles)

    @property
    def late(self) -> dict[BatchId, float]:
        """The batches that have taken half of the time they may, and for how many seconds."""
        return self._dispatcher.late if self._dispatcher else {}

    @property
    def handed_bytes(self) -> int:
        """About how many bytes of sources are extracted, of which the observer is to hear that the
        store has them."""
        return self._dispatcher.jobs.handed_bytes + self._untold if self._dispatcher else 0

    def start(self) -> None:
        """Begin to look who is there."""
        self._spawn(self._look())

    def stop(self) -> None:
        """Submit nothing more; `run` returns once what is in flight is in the store."""
        self._stopping = True
        self._tell(StopAsked())

    def wake(self) -> None:
        """Ask the source again: there may be batches now."""
        self._tell(Woken())

    async def take_over(self, *runs: str) -> Ledger:
        """Hold runs from now on; whoever held them before can commit nothing more.

        Returns what the store's ledger has of them, in all their shards.
        """
        return await self._unless_failed(self._savers.take_over(*runs))

    async def enter(self, entries: Ledger) -> None:
        """Put entries of runs themselves into the ledger, unless they are there. Returns when they
        are.
        """
        await self._unless_failed(self._savers.enter(entries))

    async def forget(self, run: str, up_to: int) -> None:
        """The run's source has forgotten all its batches up to this number: the ledger may, too."""
        await self._savers.forget(run, up_to)

    async def run(self, source: BatchSource, ledger: Ledger) -> bool:
        """Count the batches of `source` that `ledger`, that of its runs, does not have.

        Returns True when there will be no more batches and the store has all of them but those that
        were given up, or False when stopped. Raises DaskingestError.
        """
        savers = await self._unless_failed(self._savers.ready())
        workers = await self._lookout.first()
        self._dispatcher = Dispatcher(ledger, savers, workers, self._limit)
        begin = self._dispatcher.begin
        try:
            instructions = self._dispatcher.handle(StopAsked()) if self._stopping else begin()
            return await self._follow(instructions, source, self._dispatcher)
        finally:
            self._dispatcher = None

    async def _follow(
        self, instructions: list[Instruction], source: BatchSource, dispatcher: Dispatcher
    ) -> bool:
        """Carry out what the dispatcher wants, tell it what comes of it, and so on to the end."""
        while True:
            # The observer may take long, and there are thousands in a large commit.
            self._untold = sum(map(_fresh_bytes, instructions))
            for each in instructions:
                match each:
                    case End(complete):
                        return complete
                    case Fail(error):
                        raise error
                    case Finished():
                        await self._observer.finished(each)
                        self._untold -= _fresh_bytes(each)
                    case GivenUp():
                        self._observer.given_up(each)
                    case _:
                        self._carry_out(each, source)
            event = await self._events.get()
            if isinstance(event, DaskingestError):
                raise event
            instructions = dispatcher.handle(event)

    def _carry_out(self, instruction: Instruction, source: BatchSource) -> None:
        match instruction:
            case Take(most, idle):
                self._spawn(self._take(source, most, idle))
            case Submit():
                self._submit(instruction)
            case Withdraw(batch_id, task):
                self._crew.withdraw(batch_id, task)
            case KillWorker(worker):
                self._spawn(self._crew.kill(worker))
            case LookAtWorker():
                self._spawn(self._crew.look_at_worker(instruction))
            case CountRows(batch):
                self._spawn(self._count_rows(batch))
            case HandOver(batch_id, entry, saver):
                self._spawn(self._hand_over(batch_id, entry, saver))
            case Drain(saver):
                self._spawn(self._drain(saver))
            case StartSaver(runs, place):
                self._spawn(self._replace_saver(runs, place))

    async def _take(self, source: BatchSource, most: int, idle: int) -> None:
        self._tell(Taken(await source.take(most, idle)))

    async def _count_rows(self, batch: Batch) -> None:
        measure = await asyncio.to_thread(batch.measure)
        self._tell(RowsCounted(batch.id, *measure))

    async def _hand_over(self, batch_id: BatchId, entry: Entry, number: int) -> None:
        try:
            saver = self._savers.with_number(number)
            await saver.add(batch_id, CompressedCounts(), entry)
            await saver.drain()
        except (SaverLost, Replaced):
            self._tell(NotHandedOver(batch_id, number))

    async def _drain(self, number: int) -> None:
        with suppress(SaverLost, Replaced):  # the listener finds out as well
            await self._savers.with_number(number).drain()

    def _submit(self, submit: Submit) -> None:
        savers = self._savers.refs
        if savers is None:
            self._tell(SaverUnreached(submit.batch.id, submit.task, "one is being replaced"))
        else:
            self._crew.submit(submit, savers)

    async def _look(self) -> None:
        """See who is there and what is missing, and tell the time, as long as this is open."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            workers = await self._lookout.look()
            if workers is not None and self._dispatcher is not None:
                self._tell(WorkersSeen(workers))
                self._tell(Tick(asyncio.get_running_loop().time()))

    # Savers.

    def _saver_started(self, saver: SaverClient, place: int) -> None:
        self._troubles[place] = ""
        self._spawn(self._listen(saver, place))

    async def _replace_saver(self, runs: Collection[str], place: int) -> None:
        entries = await self._savers.take_over_at(place, *runs)
        number = await self._savers.ready_at(place)
        self._tell(SaverStarted(number, entries, place))

    async def _listen(self, saver: SaverClient, place: int) -> None:
        """Pass on the reports of this saver, until it is lost."""
        try:
            while True:
                self._reported(await saver.report(), saver, place)
        except (SaverLost, Replaced, OSError) as error:
            self._savers.lost(saver, place, error)
            log.warning("the saver was lost (%s); starting another", error)
            self._tell(SaverGone(saver.number))

    def _reported(self, report: Report, saver: SaverClient, place: int) -> None:
        if self._savers.is_current(saver, place):
            self._troubles[place] = report.trouble
        for commit in report.commits:
            self._observer.committed(commit)
        self._tell(Reported(report.committed, report.refused, report.invalid, place))

    # Background tasks.

    def _tell(self, event: Event) -> None:
        self._events.put_nowait(event)

    def _spawn(self, work: Coroutine[object, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)
        return task

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
        if not self._failure.done():
            self._failure.set_result(ours)

    async def _unless_failed(self, work: Awaitable[T]) -> T:
        """What it returns. Raises the error that ended a background task instead, if one did."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._failure), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
        if self._failure.done():
            raise self._failure.result()
        return task.result()

    async def close(self) -> None:
        """Stop all background tasks. What is in flight ends with the cluster."""
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._crew.close()


@asynccontextmanager
async def open_driver(client: Client, work: Work, observer: Observer) -> AsyncIterator[Driver]:
    """A driver on a cluster, whose saver is started when it is first needed.

    Raises UsageError if that would write to another file than the store here.
    """
    await require_one_store(client, work.store_url)
    driver = Driver(client, work, observer)
    driver.start()
    try:
        yield driver
    finally:
        await driver.close()


def _fresh_bytes(instruction: Instruction) -> int:
    """About how many of its source's bytes a batch has that was committed now."""
    match instruction:
        case Finished(batch=batch, fresh=True):
            return batch.share
    return 0
