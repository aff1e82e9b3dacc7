"""The one graph: batches go to workers, their counts to the saver, and none is forgotten before
the store has it.

Each batch is extracted by one task, which hands the counts to the saver and tells the driver of the
rejects only. That a batch is done the driver hears from the saver, when the commit is in the store.
Whatever dies in between, the batch is submitted again; the store's ledger sees to it that it is
counted once.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from distributed import Client, Future, KilledWorker

from daskingest.articles import Article, Reject
from daskingest.counts import Counts, Tally
from daskingest.errors import DaskingestError
from daskingest.extraction import extract
from daskingest.models import load_model
from daskingest.pipeline.cluster import EXTRACT, SAVER, count_workers
from daskingest.pipeline.saver import Report, Saver, SaverLost, SaverRef, root_of
from daskingest.stores import Note

TASKS_PER_WORKER = 2
"""One runs, one waits: a worker has no pause, and takes few tasks with it when it dies."""

KILLED_WORKER = "killed its worker"
TOO_MANY_WORDS = "more words than one commit of the store takes"
_DEATHS_TO_SUSPECT = 2  # workers that died with a batch before it is tried alone
_DEATHS_TO_REJECT = 3  # and with an article alone before it is rejected
_TRIES = 3  # of a batch whose task raises an error
_TRIES_TO_SAVE = 10  # of a batch whose worker does not reach the saver
_OPEN_PER_TASK = 32  # batches that the saver may hold for each task that may run

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where a batch's rows come from. It travels to the worker."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def rows(self) -> Iterator[Article | Reject]:
        """The rows, the same at every call."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows [first, last) of a source, to be counted under an id that never changes.

    `id` is the run, a colon, and what tells the batch from the run's others. `only` says that no
    more than that number of its rows are to be counted now.
    """

    id: str
    source: Source
    first: int = 0
    last: int | None = None
    only: int | None = None

    def rows(self) -> Iterator[Article | Reject]:
        """The batch's rows."""
        return itertools.islice(self.source.rows(), self.first, self.last)

    def parts(self, at: int) -> list[Batch]:
        """The batch cut before its row `at`, without what is not to be counted now.

        A part's id is the batch's id and its place.
        """
        middle = self.first + at
        head = replace(self, id=f"{self.id}.0", last=middle)
        tail = replace(self, id=f"{self.id}.1", first=middle)
        if self.only is None:
            return [head, tail]
        if self.only <= at:
            return [replace(head, only=self.only if self.only < at else None)]
        return [replace(head, only=None), replace(tail, only=self.only - at)]


class BatchSource(Protocol):
    """Where a graph's batches come from: all there are, or those there are so far."""

    async def take(self, most: int, idle: int) -> list[Batch] | None:
        """Up to `most` batches, for `idle` workers that have nothing to do and others that will.

        An empty list: there is none yet, ask again after `Graph.wake`. None: there will be none.
        """


class Listed:
    """A BatchSource of batches that all are there."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = iter(batches)

    async def take(self, most: int, idle: int) -> list[Batch] | None:
        """See `BatchSource.take`."""
        return await asyncio.to_thread(list, itertools.islice(self._batches, most)) or None


class Extracted(NamedTuple):
    """What a task tells the driver: the batch's rejects, and the seconds that extraction took."""

    rejects: list[Reject]
    seconds: float


def count_batch(batch: Batch, model: str, saver: SaverRef) -> Extracted:
    """The task: extract a batch and hand its counts to the saver.

    Raises SaverLost if the saver can't be reached.
    """
    started = time.perf_counter()
    found = extract(batch.rows(), load_model(model))
    seconds = time.perf_counter() - started
    saver.call_from_task("add", batch.id, found.counts, found.tally.to_note())
    return Extracted(found.rejects, seconds)


Done = Callable[[Batch, Note, list[Reject] | None, bool], None]
"""Told of each batch that the store has: its ledger note, its rejects (None if they were not seen),
and whether it was committed only now.
"""


@dataclass(slots=True)
class _Job:
    """A batch that the store does not have yet."""

    batch: Batch
    deaths: int = 0
    errors: int = 0
    unsaved: int = 0
    alone: bool = False
    saver: SaverRef | None = None  # the one that its counts are handed to
    rejects: list[Reject] | None = None


class Timings:
    """Is told how long things took, in seconds. This one doesn't listen."""

    def extraction(self, seconds: float) -> None:
        """A batch's extraction."""

    def commit(self, seconds: float, writes: int) -> None:
        """A commit to the store, and how many rows or documents it wrote."""


@dataclass(slots=True)
class Graph:
    """Runs batches through a cluster. Open one with `open_graph`.

    All state changes happen in `run`, one event at a time.
    """

    client: Client
    model: str
    store_url: str
    flush_interval: float
    done: Done
    timings: Timings = field(default_factory=Timings)
    trouble: str = ""
    stopping: bool = False
    workers: int = 1
    _saver: SaverRef | None = None
    _saver_future: Future[Any] | None = None
    _tasks: int = 0
    _open: dict[str, _Job] = field(default_factory=dict)  # all that is not in the store
    _waiting: deque[_Job] = field(default_factory=deque)  # to be submitted (again)
    _suspects: deque[_Job] = field(default_factory=deque)  # to be submitted alone
    _running: dict[str, _Job] = field(default_factory=dict)
    _draining: bool = False
    _source: BatchSource | None = None
    _ledger: dict[str, Note] = field(default_factory=dict)
    _events: asyncio.Queue[Callable[[], Any]] = field(default_factory=asyncio.Queue)
    _background: set[asyncio.Task[None]] = field(default_factory=set)

    async def ledger(self, run: str) -> dict[str, Note]:
        """The store's ledger of a run."""
        while True:
            try:
                saver = self._saver or await self._start_saver()
                return dict(await saver.call(self.client, "ledger", run))
            except SaverLost:
                self._saver = None

    async def enter(self, entry: str, note: Note) -> None:
        """Put an entry of the run's own into the ledger, if it isn't there. Returns when it is."""
        while True:
            try:
                saver = self._saver or await self._start_saver()
                await saver.call(self.client, "add", entry, Counts(), note)
                await saver.call(self.client, "drain")
                return
            except SaverLost:
                self._saver = None

    def stop(self) -> None:
        """Submit nothing more; `run` returns when what is in flight is in the store."""
        self.stopping = True
        self._events.put_nowait(lambda: None)

    def wake(self) -> None:
        """Ask the source again: there may be batches now."""
        self._events.put_nowait(lambda: None)

    def has(self, batch_id: str) -> bool:
        """Whether the store, as far as is known, lacks a batch or one of its parts."""
        return any(root_of(each) == batch_id for each in self._open)

    @property
    def running(self) -> int:
        """How many tasks are with the workers."""
        return len(self._running)

    @property
    def open(self) -> int:
        """How many batches were taken and are not in the store."""
        return len(self._open)

    async def forget(self, batch_ids: Collection[str]) -> None:
        """Remove entries from the ledger, some time: of batches that will not be taken again.

        Those that are lost with the saver stay.
        """
        with suppress(SaverLost):
            if self._saver is not None:
                await self._saver.call(self.client, "forget", list(batch_ids))

    async def run(self, source: BatchSource, ledger: dict[str, Note]) -> bool:
        """Count the batches that `ledger`, of the same run, does not have.

        Returns when there will be no more and the store has all of them (True), or when stopped
        (False). Raises DaskingestError when a batch cannot be read.
        """
        self._source, self._ledger = source, dict(ledger)
        if self._saver is None:
            await self._start_saver()
        while True:
            await self._submit()
            ending = self._source is None or self.stopping
            if ending and not self._running and not self._draining:
                if not self._handed() and (self.stopping or not self._open):
                    break
                self._drain()
            handle = await self._events.get()
            result = handle()
            if result is not None:
                await result
        finished = not self._open and not self.stopping
        self._open.clear()
        self._waiting.clear()
        self._suspects.clear()
        return finished

    def _handed(self) -> list[_Job]:
        """The batches that the saver has and the store, as far as is known, does not."""
        queued = {id(job) for job in (*self._waiting, *self._suspects, *self._running.values())}
        return [job for job in self._open.values() if id(job) not in queued]

    async def _submit(self) -> None:
        """Submit batches as long as there are workers for them."""
        room = TASKS_PER_WORKER * max(1, self.workers)
        most = _OPEN_PER_TASK * room
        while not self.stopping and len(self._running) < room and self._more_may_be_open(most):
            if any(job.alone for job in self._open.values()):
                if self._suspects and not self._running:
                    self._start(self._suspects.popleft())
                    continue
                return
            if not self._waiting:
                idle = max(0, self.workers - len(self._running))
                self._waiting.extend(await self._take(room - len(self._running), idle))
            if not self._waiting:
                return
            self._start(self._waiting.popleft())

    def _more_may_be_open(self, most: int) -> bool:
        """Whether the driver may know of more batches; their bytes may travel with them."""
        return bool(self._waiting or self._suspects) or len(self._open) < most

    def _again(self, job: _Job) -> None:
        """Queue a batch that must be submitted (again), if it isn't queued already."""
        queue = self._suspects if job.alone else self._waiting
        known = job.batch.id in self._open and job.batch.id not in self._running
        if known and job not in queue:
            queue.append(job)

    async def _take(self, most: int, idle: int) -> list[_Job]:
        """Up to that many batches from the source that must be counted; none: there is none yet."""
        jobs: list[_Job] = []
        while not jobs and self._source is not None and not self.stopping:
            batches = await self._source.take(most, idle)
            if batches is None:
                self._source = None
            if not batches:
                break
            counted: list[tuple[Batch, Note]] = []
            for batch in batches:
                jobs += self._plan(batch, counted)
            for batch, note in counted:
                self.done(batch, note, None, False)
        return jobs

    def _plan(self, batch: Batch, counted: list[tuple[Batch, Note]]) -> Iterator[_Job]:
        """What of a batch must be counted: all of it, or the parts the ledger does not have."""
        note = self._ledger.pop(batch.id, None)
        if note is None:
            yield self._open.setdefault(batch.id, _Job(batch))
        elif "split" in note:
            for part in batch.parts(note["split"]):
                yield from self._plan(part, counted)
        else:
            counted.append((batch, note))

    def _start(self, job: _Job) -> None:
        if job.batch.id not in self._open:
            return  # it was committed after all, while it waited to be tried again
        job.saver = self._saver
        if job.batch.only is not None:
            self._spawn(self._hand_over(job, {"split": job.batch.only}))
            return
        self._tasks += 1
        self._running[job.batch.id] = job
        log.debug("batch %s: submitted", job.batch.id)
        future = self.client.submit(
            count_batch,
            job.batch,
            self.model,
            self._saver,
            key=f"extract-{job.batch.id}-{self._tasks}",
            resources={EXTRACT: 1},
            pure=False,
        )
        self._spawn(self._watch(job, future))

    async def _watch(self, job: _Job, future: Future[Extracted]) -> None:
        try:
            extracted = await future
        except KilledWorker:
            self._events.put_nowait(partial(self._died, job))
        except SaverLost as error:
            self._events.put_nowait(partial(self._unsaved, job, error))
        except CancelledError:  # of futures; a task's is another
            self._events.put_nowait(self._scheduler_lost)
        except Exception as error:
            self._events.put_nowait(partial(self._failed, job, error))
        else:
            self._events.put_nowait(partial(self._extracted, job, extracted))

    def _extracted(self, job: _Job, extracted: Extracted) -> None:
        """The counts are with the saver that the job was submitted with."""
        self._running.pop(job.batch.id, None)
        job.alone, job.rejects = False, extracted.rejects
        self.timings.extraction(extracted.seconds)
        if job.saver is not self._saver:
            self._again(job)

    def _unsaved(self, job: _Job, error: SaverLost) -> None:
        """The counts did not get to the saver. It is gone, or the worker cannot reach it."""
        self._running.pop(job.batch.id, None)
        job.alone = False
        if job.saver is self._saver:
            job.unsaved += 1
            if job.unsaved >= _TRIES_TO_SAVE:
                raise DaskingestError(f"the workers cannot reach the saver: {error}")
        self._again(job)

    def _failed(self, job: _Job, error: Exception) -> None:
        self._running.pop(job.batch.id, None)
        job.errors += 1
        log.warning("batch %s: %s", job.batch.id, error)
        if job.errors < _TRIES:
            self._again(job)
        elif isinstance(error, DaskingestError):
            raise error
        else:
            raise DaskingestError(
                f"a batch could not be counted: {type(error).__name__}: {error}"
            ) from error

    def _scheduler_lost(self) -> None:
        raise DaskingestError(
            "the connection to the Dask scheduler was lost; what was committed is kept: "
            "run the same command again to go on"
        )

    async def _died(self, job: _Job) -> None:
        """A worker died with this batch. It may have been innocent, until it was alone."""
        self._running.pop(job.batch.id, None)
        job.deaths += 1
        if not job.alone:
            if job.deaths >= _DEATHS_TO_SUSPECT:
                log.warning("batch %s: workers died with it; trying it alone", job.batch.id)
                job.alone, job.deaths = True, 0
            self._again(job)
            return
        if job.deaths < _DEATHS_TO_REJECT and await _count_rows(job.batch) == 1:
            self._again(job)
        else:
            await self._halve(job, KILLED_WORKER)

    async def _halve(self, job: _Job, reason: str) -> None:
        """Cut a batch in two, or reject its article if it has but one."""
        log.warning("batch %s: %s; halving it", job.batch.id, reason)
        rows = await _count_rows(job.batch)
        note: Note = {"split": rows // 2}
        if rows <= 1:
            tally = Tally(rows=rows)
            tally.reject(0, reason)
            note = tally.to_note()
        self._spawn(self._hand_over(job, note))

    async def _hand_over(self, job: _Job, note: Note) -> None:
        """Give the saver a ledger entry without counts."""
        saver = self._saver
        try:
            if saver is None:
                raise SaverLost
            await saver.call(self.client, "add", job.batch.id, Counts(), note)
            await saver.call(self.client, "drain")
        except SaverLost:
            self._events.put_nowait(partial(self._again, job))

    def _drain(self) -> None:
        self._draining = True

        async def drain(saver: SaverRef) -> None:
            with suppress(SaverLost):  # the listener finds out as well
                await saver.call(self.client, "drain")
            self._events.put_nowait(lambda: None)

        if self._saver is not None:
            self._spawn(drain(self._saver))

    async def _listen(self, saver: SaverRef) -> None:
        """Pass on what this saver reports, until it is lost."""
        cursor = 0
        while True:
            try:
                self.workers = await count_workers(self.client, EXTRACT)
                report: Report = await saver.call(self.client, "report", cursor)
            except (SaverLost, OSError) as error:
                self._events.put_nowait(partial(self._lost, saver, str(error)))
                return
            cursor, self.trouble = report.next, report.trouble
            self._events.put_nowait(partial(self._reported, report))

    def _reported(self, report: Report) -> None:
        self.trouble = report.trouble
        for commit in report.commits:
            self.timings.commit(*commit)
        for batch_id in report.refused:
            if batch_id in self._open:
                self._spawn(self._halve(self._open[batch_id], TOO_MANY_WORDS))
        if not self.workers:
            self.trouble = f"no worker with the resource {EXTRACT!r}; waiting for one"
        for batch_id, note in report.committed.items():
            if (job := self._open.pop(batch_id, None)) is None:
                continue
            log.debug("batch %s: in the store", batch_id)
            if "split" in note:
                for part in job.batch.parts(note["split"]):
                    self._again(self._open.setdefault(part.id, _Job(part, alone=job.alone)))
            else:
                self.done(job.batch, note, job.rejects, True)
        self._draining = False

    async def _lost(self, saver: SaverRef, reason: str) -> None:
        """Start another saver, and count again what this one had not committed."""
        if saver is not self._saver:
            return
        log.warning("the saver was lost (%s); starting another", reason)
        self._saver = None
        await self._start_saver()
        handed = self._handed()
        for run in {job.batch.id.partition(":")[0] for job in handed}:
            self._reported(Report(await self.ledger(run), 0))
        for job in handed:
            self._again(job)

    async def _start_saver(self) -> SaverRef:
        if self.client.status != "running":
            self._scheduler_lost()
        self.trouble = f"waiting for a worker with the resource {SAVER!r}"
        while True:
            self._saver_future = self.client.submit(
                Saver,
                self.store_url,
                self.flush_interval,
                key=f"saver-{uuid4().hex}",
                actor=True,
                resources={SAVER: 1},
                pure=False,
            )
            try:
                actor = await self._saver_future
                break
            except KilledWorker:
                log.warning("the saver's worker died; trying again")
            except CancelledError:
                self._scheduler_lost()
        self.trouble = ""
        self._draining = False
        self._saver = SaverRef(actor._address, actor.key)
        self._spawn(self._listen(self._saver))
        return self._saver

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """What went wrong in the background ends the run."""
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.put_nowait(partial(_raise, error))

    async def close(self) -> None:
        """Stop listening. What is in flight is left to the cluster's end."""
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _raise(error: BaseException) -> None:
    if isinstance(error, DaskingestError):
        raise error
    raise DaskingestError(f"the run failed: {type(error).__name__}: {error}") from error


async def _count_rows(batch: Batch) -> int:
    return await asyncio.to_thread(lambda: sum(1 for _ in batch.rows()))


@asynccontextmanager
async def open_graph(
    client: Client,
    model: str,
    store_url: str,
    flush_interval: float,
    done: Done,
    timings: Timings | None = None,
) -> AsyncIterator[Graph]:
    """A graph on a cluster, with a saver for the store."""
    graph = Graph(client, model, store_url, flush_interval, done, timings or Timings())
    try:
        yield graph
    finally:
        await graph.close()
