"""The driver's decisions: a state machine that turns events into instructions.

It knows neither Dask nor a clock, and waits for nothing: each event is handled at once, and the
resulting instructions are returned. `driver.py` carries them out, and reports the outcome as
another event. So every order of deaths, losses and late reports can be tried in a test.

A batch goes through these values of `State`:

    WAITING → RUNNING → HANDED → in the store, reported as Finished

A failed task, a dead worker and a lost saver lead back to WAITING. A batch that workers die of is
tried alone, and split until the article responsible stands alone; so is a batch that is too large
for one commit of the store. A split is an entry in the ledger, as counts are, so that the batch is
split in the same place whenever the run is resumed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum

from daskingest.counts import Tally
from daskingest.errors import DaskingestError
from daskingest.ledger import BatchId, Counted, Entry, Ledger, Split
from daskingest.pipeline.batch import Batch
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
    WorkerDied,
    WorkersSeen,
)
from daskingest.pipeline.jobs import LACKING, Job, Jobs, State

TASKS_PER_WORKER = 2
"""One runs, one waits: a worker is never idle, and takes few tasks with it if it dies."""

KILLED_WORKER = "killed its worker"
TOO_MANY_WORDS = "more words than one commit of the store takes"
_DEATHS_TO_SUSPECT = 2  # deaths of workers with a batch before it is tried alone
_DEATHS_TO_REJECT = 3  # deaths with a single article before it is rejected
_TRIES = 3  # attempts for a batch whose task raises an error
_TRIES_TO_SAVE = 10  # attempts for a batch whose worker cannot reach the saver
_OPEN_PER_TASK = 32  # batches that may be open for each task that may run

log = logging.getLogger(__name__)


class _Source(Enum):
    """What is known about the source of batches."""

    MAY_HAVE = "it may have batches"
    ASKED = "it was asked for some"
    ASKED_BEFORE = "it was asked before things changed"
    EMPTY = "it has none yet"
    ENDED = "it will have none"


_STALE = {_Source.EMPTY: _Source.MAY_HAVE, _Source.ASKED: _Source.ASKED_BEFORE}


class Dispatcher:
    """Takes a run's batches from their source to the store.

    `ledger` is the store's ledger of the run at the start, `saver` the number of the current saver,
    `workers` the number of extraction workers. Call `begin`, then `handle` with each event, and
    carry out the instructions returned, in order, until one is End or Fail.

    Guarantees: at most two tasks per worker are in flight; each batch of the source, or each of its
    parts, is reported as Finished exactly once, when the store has it; as long as there is
    something to do, there is an instruction whose answer is awaited.
    """

    def __init__(self, ledger: Ledger, saver: int, workers: int) -> None:
        self._ledger = dict(ledger)
        self._saver: int | None = saver
        self._workers = workers
        self._jobs = Jobs()
        self._source = _Source.MAY_HAVE
        self._draining = False
        self._stopping = False
        self._ended = False

    @property
    def in_flight(self) -> int:
        """How many tasks the workers have."""
        return self._jobs.in_flight

    @property
    def open(self) -> int:
        """How many batches were taken and are not in the store, as far as is known."""
        return self._jobs.open

    def begin(self) -> list[Instruction]:
        """The first instructions."""
        return self._until_the_end(())

    def handle(self, event: Event) -> list[Instruction]:
        """The instructions for an event; none after the end."""
        if not isinstance(event, Taken):  # idle workers, and so due batches, may differ
            self._source = _STALE.get(self._source, self._source)
        return self._until_the_end(self._react(event))

    def _until_the_end(self, reaction: Iterable[Instruction]) -> list[Instruction]:
        found: list[Instruction] = []
        if self._ended:
            return found
        for each in (*reaction, *self._go_on()):
            found.append(each)
            if isinstance(each, End | Fail):
                self._ended = True
                break
        return found

    def _react(self, event: Event) -> Iterator[Instruction]:
        match event:
            case Taken(batches):
                yield from self._taken(batches)
            case Extracted() | SaverUnreached() | TaskFailed() | WorkerDied():
                yield from self._task_ended(event)
            case RowsCounted(batch_id, rows):
                yield from self._rows_counted(batch_id, rows)
            case NotHandedOver(batch_id, saver):
                job = self._jobs.find(batch_id, State.HANDED)
                if job is not None and job.saver == saver:
                    self._jobs.move(job, State.WAITING)
            case Reported(committed, refused):
                self._draining = False
                yield from self._in_the_store(committed)
                for batch_id in refused:
                    if (job := self._jobs.find(batch_id, State.RUNNING, State.HANDED)) is not None:
                        yield from self._refused(job)
            case SaverGone(saver):
                if saver == self._saver:
                    self._saver = None
                    yield StartSaver(self._jobs.runs)
            case SaverStarted(saver, ledger):
                yield from self._saver_started(saver, ledger)
            case WorkersSeen(workers):
                self._workers = workers
            case StopAsked():
                self._stopping = True

    # Batches from the source.

    def _taken(self, batches: list[Batch] | None) -> Iterator[Instruction]:
        again = self._source is _Source.ASKED_BEFORE
        if batches is None:
            self._source = _Source.ENDED
        elif not batches and not again:
            self._source = _Source.EMPTY
        else:
            self._source = _Source.MAY_HAVE
        if self._stopping:
            return
        counted: list[tuple[Batch, Tally]] = []
        for batch in batches or ():
            self._plan(batch, counted)
        left = Counter(batch.id.whole for batch, _ in counted)
        for batch, tally in counted:
            whole = batch.id.whole
            left[whole] -= 1
            last = not left[whole] and not self._jobs.has(whole)
            yield Finished(batch, tally, None, fresh=False, last=last)

    def _plan(self, batch: Batch, counted: list[tuple[Batch, Tally]]) -> None:
        """Queue a batch, or those of its parts that the ledger does not have."""
        match self._ledger.pop(batch.id, None):
            case Counted(tally):
                counted.append((batch, tally))
            case Split(at):
                for part in batch.parts(at):
                    self._plan(part, counted)
            case _:
                self._jobs.add(batch)

    # Ends of tasks.

    def _task_ended(
        self, event: Extracted | SaverUnreached | TaskFailed | WorkerDied
    ) -> Iterator[Instruction]:
        job = self._jobs.find(event.batch_id, State.RUNNING, State.STORED)
        if job is None:
            return
        if job.state is State.STORED:
            self._jobs.remove(job)
            return
        match event:
            case Extracted(_, rejects):
                job.rejects = rejects
                self._jobs.clear(job)
                mine = job.saver == self._saver
                self._jobs.move(job, State.HANDED if mine else State.WAITING)
                if mine and job.refused:
                    yield self._cut(job, TOO_MANY_WORDS)
            case SaverUnreached(_, reason):
                self._jobs.clear(job)
                job.unreached += job.saver == self._saver
                if job.unreached >= _TRIES_TO_SAVE:
                    yield Fail(DaskingestError(f"the workers cannot reach the saver: {reason}"))
                self._jobs.move(job, State.WAITING)
            case TaskFailed(batch_id, error):
                log.warning("batch %s: %s", batch_id, error)
                job.errors += 1
                if job.errors >= _TRIES:
                    yield Fail(_as_ours(error))
                self._jobs.move(job, State.WAITING)
            case WorkerDied():
                yield from self._died(job)

    def _died(self, job: Job) -> Iterator[Instruction]:
        """A worker died with this batch. Unless it was tried alone, it may not be the cause."""
        job.deaths += 1
        if job.alone:
            yield self._cut(job, KILLED_WORKER)
            return
        if job.deaths >= _DEATHS_TO_SUSPECT:
            log.warning("batch %s: workers died with it; trying it alone", job.batch.id)
            job.alone, job.deaths = True, 0
        self._jobs.move(job, State.WAITING)

    # Splits.

    def _refused(self, job: Job) -> Iterator[Instruction]:
        """It is too large for one commit, which may be reported before the end of its task."""
        job.refused = True
        if job.state is State.HANDED:
            yield self._cut(job, TOO_MANY_WORDS)

    def _cut(self, job: Job, reason: str) -> Instruction:
        job.cut_for = reason
        self._jobs.move(job, State.MEASURED)
        return CountRows(job.batch)

    def _rows_counted(self, batch_id: BatchId, rows: int) -> Iterator[Instruction]:
        """Split a batch, or reject its article if it has only one."""
        job = self._jobs.find(batch_id, State.MEASURED)
        if job is None:
            return
        if rows == 1 and job.cut_for == KILLED_WORKER and job.deaths < _DEATHS_TO_REJECT:
            self._jobs.move(job, State.WAITING)
        elif rows > 1:
            log.warning("batch %s: %s; cutting it in two", batch_id, job.cut_for)
            yield from self._hand_over(job, Split(rows // 2))
        else:
            log.warning("batch %s: %s; rejecting its article", batch_id, job.cut_for)
            tally = Tally(rows=rows)
            tally.reject(0, job.cut_for)
            yield from self._hand_over(job, Counted(tally))

    def _hand_over(self, job: Job, entry: Entry) -> Iterator[Instruction]:
        if self._saver is None:
            self._jobs.move(job, State.WAITING)
            return
        job.saver = self._saver
        self._jobs.move(job, State.HANDED)
        yield HandOver(job.batch.id, entry, self._saver)

    # What the store has.

    def _in_the_store(self, entries: Ledger) -> Iterator[Instruction]:
        for batch_id, entry in entries.items():
            job = self._jobs.find(batch_id, *LACKING)
            if job is None:
                continue
            log.debug("batch %s: in the store", batch_id)
            if isinstance(entry, Split):
                for part in job.batch.parts(entry.at):
                    self._jobs.add(part, job.alone)
                self._jobs.stored(job)
            elif isinstance(entry, Counted):
                last = self._jobs.stored(job)
                yield Finished(job.batch, entry.tally, job.rejects, fresh=True, last=last)

    def _saver_started(self, saver: int, ledger: Ledger) -> Iterator[Instruction]:
        """Queue again what the lost saver had not committed."""
        self._saver, self._draining = saver, False
        # A part becomes known only by the entry of the batch that it is a part of: parts come last.
        yield from self._in_the_store(dict(sorted(ledger.items(), key=lambda item: item[0])))
        for job in self._jobs.all():
            if job.state is State.HANDED:
                self._jobs.move(job, State.WAITING)

    # Instructions that follow from the current state.

    def _go_on(self) -> Iterator[Instruction]:
        if self._saver is not None:
            yield from self._submissions(self._saver)
            yield from self._conclusion(self._saver)

    def _submissions(self, saver: int) -> Iterator[Instruction]:
        """Submit batches while there is room for tasks, and ask the source for more."""
        room = TASKS_PER_WORKER * max(1, self._workers)
        while not self._stopping and self._jobs.in_flight < room:
            job = self._jobs.next()
            if job is None:
                break
            job.saver = saver
            if job.batch.only is not None:
                yield from self._hand_over(job, Split(job.batch.only))
                continue
            log.debug("batch %s: submitted", job.batch.id)
            job.refused = False
            self._jobs.move(job, State.RUNNING)
            yield Submit(job.batch)
        free = room - self._jobs.in_flight
        # Open batches may contain their articles, so the driver must not hold too many.
        few = self._jobs.open < _OPEN_PER_TASK * room
        may = self._source is _Source.MAY_HAVE and not self._stopping
        if may and free > 0 and few and not self._jobs.suspected:
            self._source = _Source.ASKED
            yield Take(free, max(0, self._workers - self._jobs.in_flight))

    def _conclusion(self, saver: int) -> Iterator[Instruction]:
        """The end, if nothing more will come; before that, the saver's last commit."""
        asked = self._source in (_Source.ASKED, _Source.ASKED_BEFORE)
        ending = self._stopping or self._source is _Source.ENDED
        if not ending or asked or self._jobs.in_flight or self._draining:
            return
        if self._jobs[State.HANDED]:
            self._draining = True
            yield Drain(saver)
        elif not self._jobs[State.MEASURED] and (self._stopping or not self._jobs.open):
            yield End(complete=not self._stopping)


def _as_ours(error: Exception) -> DaskingestError:
    if isinstance(error, DaskingestError):
        return error
    ours = DaskingestError(f"a batch could not be counted: {type(error).__name__}: {error}")
    ours.__cause__ = error
    return ours
