"""What the driver decides: a state machine of events in and instructions out.

It knows neither Dask nor a clock, and waits for nothing: each event is handled at once, and what
is to be done about it is returned. `driver.py` carries that out, and tells what came of it in
another event. So every order of deaths, losses and late news can be tried in a test.

A batch's way, its `State`, is

    WAITING → RUNNING → HANDED → in the store, told as Finished

A task that ends in an error, a worker that dies, and a saver that is lost lead back to WAITING.
What workers die of is tried alone, and is cut in two until the article that does it stands alone;
so is what the store does not take, because it is too large for one commit or invalid. A cut is an
entry in the ledger like counts are, so that a batch is cut in the same place by whoever goes on
with the run.
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
"""One runs, one waits: a worker has no pause, and takes few tasks with it when it dies."""

KILLED_WORKER = "killed its worker"
TOO_MANY_WORDS = "more words than one commit of the store takes"
NOT_TAKEN = "refused by the store"
_DEATHS_TO_SUSPECT = 2  # workers that died with a batch before it is tried alone
_DEATHS_TO_REJECT = 3  # and with an article alone before it is rejected
_TRIES = 3  # of a batch whose task raises an error
_TRIES_TO_SAVE = 10  # of a batch whose worker does not reach the saver
_OPEN_PER_TASK = 32  # batches that the saver may hold for each task that may run

log = logging.getLogger(__name__)


class _Source(Enum):
    """What is known of the batches' source."""

    MAY_HAVE = "it may have batches"
    ASKED = "it was asked for some"
    ASKED_BEFORE = "it was asked before things changed"
    EMPTY = "it has none yet"
    ENDED = "it will have none"


_STALE = {_Source.EMPTY: _Source.MAY_HAVE, _Source.ASKED: _Source.ASKED_BEFORE}


class Dispatcher:
    """Sees a run's batches through, from its source into the store.

    `ledger` is what the store had of the run when it began, `saver` the number of the saver that
    is at work, `workers` how many there are to extract. Give each event to `handle`, beginning with
    `begin`, and carry out what it returns, in order, until that is End or Fail.

    Guarantees: no more than two tasks a worker are in flight; each batch of the source, or all its
    parts, are told as Finished once each, when the store has them; as long as there is something to
    do, there is an instruction whose answer is awaited.
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
        """How many tasks are with the workers."""
        return self._jobs.in_flight

    @property
    def open(self) -> int:
        """How many batches were taken and are not in the store, as far as is known."""
        return self._jobs.open

    def begin(self) -> list[Instruction]:
        """What is to be done first."""
        return self._until_the_end(())

    def handle(self, event: Event) -> list[Instruction]:
        """What is to be done about an event. Nothing, when the end was told."""
        if not isinstance(event, Taken):  # who is free may have changed, and so what is due
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
            case Reported(committed, refused, invalid):
                self._draining = False
                yield from self._in_the_store(committed)
                yield from self._refused(refused, TOO_MANY_WORDS)
                yield from self._refused(invalid, NOT_TAKEN)
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

    # Batches come in.

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
        """Have a batch wait, or those of its parts that the ledger does not have."""
        match self._ledger.pop(batch.id, None):
            case Counted(tally):
                counted.append((batch, tally))
            case Split(at):
                for part in batch.parts(at):
                    self._plan(part, counted)
            case _:
                self._jobs.add(batch)

    # Tasks end.

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
                    yield self._cut(job, job.refused)
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
        """A worker died with this batch. It may have been innocent, until it was alone."""
        job.deaths += 1
        if job.alone:
            yield self._cut(job, KILLED_WORKER)
            return
        if job.deaths >= _DEATHS_TO_SUSPECT:
            log.warning("batch %s: workers died with it; trying it alone", job.batch.id)
            job.alone, job.deaths = True, 0
        self._jobs.move(job, State.WAITING)

    # Batches are cut.

    def _refused(self, batch_ids: Iterable[BatchId], reason: str) -> Iterator[Instruction]:
        """The store does not take these batches, which may be told before their tasks' end."""
        for batch_id in batch_ids:
            job = self._jobs.find(batch_id, State.RUNNING, State.HANDED)
            if job is None:
                continue
            job.refused = reason
            if job.state is State.HANDED:
                yield self._cut(job, reason)

    def _cut(self, job: Job, reason: str) -> Instruction:
        job.cut_for = reason
        self._jobs.move(job, State.MEASURED)
        return CountRows(job.batch)

    def _rows_counted(self, batch_id: BatchId, rows: int) -> Iterator[Instruction]:
        """Cut a batch in two, or reject its article if it has but one."""
        job = self._jobs.find(batch_id, State.MEASURED)
        if job is None:
            return
        if rows == 1 and job.cut_for == KILLED_WORKER and job.deaths < _DEATHS_TO_REJECT:
            self._jobs.move(job, State.WAITING)
        elif rows > 1:
            log.warning("batch %s: %s; cutting it in two", batch_id, job.cut_for)
            yield from self._hand_over(job, Split(rows // 2, job.batch.checksum))
        else:
            log.warning("batch %s: %s; rejecting its article", batch_id, job.cut_for)
            tally = Tally(rows=rows)
            tally.reject(0, job.cut_for)
            yield from self._hand_over(job, Counted(tally, job.batch.checksum))

    def _hand_over(self, job: Job, entry: Entry) -> Iterator[Instruction]:
        if self._saver is None:
            self._jobs.move(job, State.WAITING)
            return
        job.saver = self._saver
        self._jobs.move(job, State.HANDED)
        yield HandOver(job.batch.id, entry, self._saver)

    # The store has them.

    def _in_the_store(self, entries: Ledger) -> Iterator[Instruction]:
        for batch_id, entry in entries.items():
            job = self._jobs.find(batch_id, *LACKING)
            if job is None:
                continue
            if error := job.batch.conflict(entry):
                yield Fail(error)
            log.debug("batch %s: in the store", batch_id)
            if isinstance(entry, Split):
                for part in job.batch.parts(entry.at):
                    self._jobs.add(part, job.alone)
                self._jobs.stored(job)
            elif isinstance(entry, Counted):
                last = self._jobs.stored(job)
                yield Finished(job.batch, entry.tally, job.rejects, fresh=True, last=last)

    def _saver_started(self, saver: int, ledger: Ledger) -> Iterator[Instruction]:
        """What the lost one had not committed is to be extracted again."""
        self._saver, self._draining = saver, False
        # A part is on its way only when the entry of what it is a part of was seen.
        yield from self._in_the_store(dict(sorted(ledger.items(), key=lambda item: item[0])))
        for job in self._jobs.all():
            if job.state is State.HANDED:
                self._jobs.move(job, State.WAITING)

    # What follows from how things are now.

    def _go_on(self) -> Iterator[Instruction]:
        if self._saver is not None:
            yield from self._submissions(self._saver)
            yield from self._conclusion(self._saver)

    def _submissions(self, saver: int) -> Iterator[Instruction]:
        """Submit batches as long as there are workers for them, and ask for more."""
        room = TASKS_PER_WORKER * max(1, self._workers)
        while not self._stopping and self._jobs.in_flight < room:
            job = self._jobs.next()
            if job is None:
                break
            job.saver = saver
            if job.batch.only is not None:
                yield from self._hand_over(job, Split(job.batch.only, job.batch.checksum))
                continue
            log.debug("batch %s: submitted", job.batch.id)
            job.refused = ""
            self._jobs.move(job, State.RUNNING)
            yield Submit(job.batch)
        free = room - self._jobs.in_flight
        # Batches that are open may have their articles with them: the driver holds few.
        few = self._jobs.open < _OPEN_PER_TASK * room
        may = self._source is _Source.MAY_HAVE and not self._stopping
        if may and free > 0 and few and not self._jobs.suspected:
            self._source = _Source.ASKED
            yield Take(free, max(0, self._workers - self._jobs.in_flight))

    def _conclusion(self, saver: int) -> Iterator[Instruction]:
        """The end, if there is no more to come; before it, the saver's last commit."""
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
