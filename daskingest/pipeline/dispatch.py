"""The driver's decisions: a state machine that turns events into instructions.

It knows neither Dask nor a clock, and waits for nothing: each event is handled at once, and the
resulting instructions are returned. `driver.py` carries them out, and reports the outcome as
another event. So every order of deaths, losses and late reports can be tried in a test.

A batch goes through these values of `State`:

    WAITING → RUNNING → HANDED → in the store, reported as Finished

A task that ends in an error, a worker that dies, and a saver that is lost lead back to WAITING.

What workers die of, or are killed for because it takes too long, is a suspect. One at a time is
tried alone on a worker that has just extracted a harmless text, while the others go on, and is cut
in two until the article that does it stands alone. So is what the store does not take. A cut is an
entry in the ledger, so that whoever goes on with the run cuts the batch in the same place.

Of a run in shards, each batch is one task for all of them, and the store has it when it has it in
each. Where the shards fare otherwise, because a saver is lost, refuses it or has it already, what
they lack become jobs of their own, one for each shard, as if they were batches of separate runs.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence

from daskingest.ledger import BatchId, Counted, Entry, Ledger, Split
from daskingest.pipeline.asking import Asking
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.deadlines import TimeLimit
from daskingest.pipeline.events import (
    ControlFailed,
    CountRows,
    Drain,
    End,
    Event,
    Extracted,
    Fail,
    Finished,
    GivenUp,
    HandOver,
    Instruction,
    KillWorker,
    NotHandedOver,
    Reported,
    RowsCounted,
    SaverGone,
    SaverStarted,
    SaverUnreached,
    StartSaver,
    StopAsked,
    Take,
    Taken,
    TaskFailed,
    Tick,
    Withdraw,
    Woken,
    WorkerDied,
    WorkersSeen,
)
from daskingest.pipeline.jobs import Job, Jobs, State, Task
from daskingest.pipeline.resuming import take_up
from daskingest.pipeline.saver_numbers import SaverNumbers
from daskingest.pipeline.tasks import TaskEnd, TaskNews, Tasks
from daskingest.pipeline.verdicts import (
    FAILURES_TO_REJECT,
    KILLED_WORKER,
    NOT_TAKEN,
    TOO_LONG,
    TOO_MANY_WORDS,
    Verdict,
    as_ours,
    judge,
    none_is_fit,
    rejected,
    saver_unreached,
)

_TRIES = 3  # of a batch whose task raises an error
_TRIES_TO_SAVE = 10  # of a batch whose worker does not reach the saver
_CONTROLS = 10  # that may fail one after the other

log = logging.getLogger(__name__)


class Dispatcher:
    """Takes a run's batches from their source to the store.

    `ledger` is what the store had of the run when it began, `savers` the numbers of those that are
    at work, `workers` those that extract, by address, `limit` how long a batch may take. Give
    each event to `handle`, beginning with `begin`, and carry out what it returns, in order, until
    that is End or Fail. `jobs` may be read, not changed.

    Guarantees: no worker has more than two tasks, one that tries a suspect no other; each batch of
    the source, or what there is of it in each shard, or all its parts, are told as Finished once
    each, when the store has them; as long as there is something to do, there is an instruction
    whose answer is awaited, or no worker, or a worker that is to answer within the limit.
    """

    def __init__(
        self, ledger: Ledger, savers: Sequence[int], workers: Collection[str], limit: TimeLimit
    ) -> None:
        self._ledger = dict(ledger)
        self._savers = SaverNumbers(savers)
        self.jobs = Jobs()
        self._tasks = Tasks(self.jobs, workers, limit)
        self._places = self._tasks.places
        self._source = Asking()
        self._stopping = False
        self._ended = False

    @property
    def late(self) -> dict[BatchId, float]:
        """See `Tasks.late`."""
        return self._tasks.late

    def begin(self) -> list[Instruction]:
        """The first instructions."""
        return self._until_the_end(())

    def handle(self, event: Event) -> list[Instruction]:
        """What is to be done about an event. Nothing, when the end was told."""
        if self._ended:
            return []
        if self._changes(event):
            self._source.changed()
        return self._until_the_end(self._react(event))

    def _changes(self, event: Event) -> bool:
        """Whether the source may answer otherwise than before, who is free having changed."""
        if isinstance(event, WorkersSeen):
            return not self._places.are(event.workers)
        return not isinstance(event, Taken | Tick | TaskNews)

    def _until_the_end(self, reaction: Iterable[Instruction]) -> list[Instruction]:
        found: list[Instruction] = []
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
            case RowsCounted():
                yield from self._rows_counted(event)
            case NotHandedOver(batch_id, saver):
                job = self.jobs.find(batch_id, State.HANDED)
                if job is not None and saver in job.savers:
                    self.jobs.move(job, State.WAITING)
            case Reported(committed, refused, invalid, place):
                self._savers.drained(place)
                yield from self._in_the_store(committed)
                yield from self._refused(refused, TOO_MANY_WORDS)
                yield from self._refused(invalid, NOT_TAKEN)
            case SaverGone(saver):
                if (lost := self._savers.lost(saver)) is not None:
                    yield StartSaver(self.jobs.runs, lost)
            case SaverStarted():
                yield from self._saver_started(event)
            case WorkersSeen(workers):
                self._places.seen(workers)
            case Tick(now):
                yield from self._look(now)
            case StopAsked():
                self._stopping = True
            case Woken():
                pass
            case _ if isinstance(event, TaskNews):
                self._tasks.told(event)
            case _:
                if found := self._tasks.find(event.batch_id, event.task):
                    yield from self._task_ended(*found, event)

    # Batches from the source.

    def _taken(self, batches: list[Batch] | None) -> Iterator[Instruction]:
        self._source.answered(batches)
        if self._stopping:
            return
        yield from take_up(batches or (), self._ledger, self.jobs)

    # Tasks end.

    def _task_ended(self, job: Job, task: Task, event: TaskEnd) -> Iterator[Instruction]:
        if isinstance(event, WorkerDied | ControlFailed):
            self._places.lost(task.worker)
        stored = job.state is State.STORED
        self._tasks.leave(job, task)
        if stored:
            return
        match event:
            case Extracted(_, _, rejects):
                job.rejects = rejects
                self.jobs.clear(job)
                self.jobs.move(job, State.HANDED)
                lost = self._savers.gone(job.batch, job.savers)
                self.jobs.take_back(job, lost)
                if job.refused and not lost:
                    yield self._cut(job, job.refused)
            case SaverUnreached(_, _, reason):
                self.jobs.clear(job)
                job.tries.unreached += not self._savers.gone(job.batch, job.savers)
                if job.tries.unreached >= _TRIES_TO_SAVE:
                    yield Fail(saver_unreached(reason))
                self.jobs.move(job, State.WAITING)
            case TaskFailed(batch_id, _, error):
                log.warning("batch %s: %s", batch_id, error)
                job.tries.errors += 1
                self.jobs.move(job, State.WAITING)
                if job.tries.errors >= _TRIES:
                    self.jobs.stored(job, job.batch.wanted)  # nor will it ever be
                    yield GivenUp(job.batch, as_ours(error))
            case ControlFailed(_, _, reason):
                yield KillWorker(task.worker)
                yield from self._worker_unfit(job, reason)
            case WorkerDied(_, _, explained):
                yield from self._died(job, task, explained)

    def _died(self, job: Job, task: Task, explained: bool) -> Iterator[Instruction]:
        verdict = judge(job, task, explained)
        if verdict is Verdict.CUT:
            yield self._cut(job, TOO_LONG if task.too_long else KILLED_WORKER)
            return
        if verdict is Verdict.UNFIT:
            yield from self._worker_unfit(job, "it died, or took too long")
            return
        if verdict is Verdict.SUSPECT:
            reason = TOO_LONG if task.too_long else "workers died with it"
            log.warning("batch %s: %s; trying it alone", job.batch.id, reason)
            if job.batch.is_shared:
                self.jobs.take_apart(job, job.batch.wanted, alone=True)
                return
            self.jobs.suspect(job)
        self.jobs.move(job, State.WAITING)

    def _worker_unfit(self, job: Job, reason: str) -> Iterator[Instruction]:
        """A worker failed on a harmless text, so that it tells nothing about a suspect."""
        log.warning("batch %s: a worker failed on a harmless text: %s", job.batch.id, reason)
        self._tasks.unfit += 1
        if self._tasks.unfit >= _CONTROLS:
            yield Fail(none_is_fit(_CONTROLS, reason))
        self.jobs.move(job, State.WAITING)

    def _look(self, now: float) -> Iterator[Instruction]:
        """End the workers that take too long; go on without those that can't be ended."""
        instructions, give_up = self._tasks.look(now)
        yield from instructions
        for worker in give_up:
            for job, task in self._tasks.of(worker):
                yield Withdraw(job.batch.id, task.number)
                yield from self._task_ended(job, task, WorkerDied(job.batch.id, task.number))

    # Batches are cut.

    def _refused(self, batch_ids: Iterable[BatchId], reason: str) -> Iterator[Instruction]:
        """The store does not take these batches, which may be told before their tasks' end."""
        for batch_id in batch_ids:
            job = self.jobs.lacking(batch_id)
            if job is None or job.state not in (State.RUNNING, State.HANDED):
                continue
            if job.batch.is_shared:
                [job] = self.jobs.take_apart(job, [batch_id.shard])
            job.refused = reason
            if job.state is not State.RUNNING:
                yield self._cut(job, reason)

    def _cut(self, job: Job, reason: str) -> Instruction:
        job.cut_for = reason
        self.jobs.move(job, State.MEASURED)
        return CountRows(job.batch)

    def _rows_counted(self, event: RowsCounted) -> Iterator[Instruction]:
        """Cut a batch in two, or reject its article if it has but one."""
        job, rows = self.jobs.find(event.batch_id, State.MEASURED), event.rows
        if job is None:
            return
        job.measured = event.size
        if rows == 1 and job.tries.failures < FAILURES_TO_REJECT.get(job.cut_for, 0):
            self.jobs.move(job, State.WAITING)
        elif rows > 1:
            log.warning("batch %s: %s; cutting it in two", job.batch.id, job.cut_for)
            yield from self._hand_over(job, Split(event.middle, job.batch.checksum))
        elif not rows:  # of its shard
            yield from self._hand_over(job, Counted(checksum=job.batch.checksum))
        else:
            log.warning("batch %s: %s; rejecting its article", job.batch.id, job.cut_for)
            yield from self._hand_over(job, rejected(job.batch, job.cut_for, event.middle))

    def _hand_over(self, job: Job, entry: Entry) -> Iterator[Instruction]:
        """Have the saver put the entry of what is no shared batch into the ledger."""
        saver = self._savers.of(job.batch.id.shard)
        if saver is None:
            self.jobs.move(job, State.WAITING)
            return
        job.savers = self._savers.now
        self.jobs.move(job, State.HANDED)
        yield HandOver(job.batch.id, entry, saver)

    # What the store has.

    def _in_the_store(self, entries: Ledger) -> Iterator[Instruction]:
        for batch_id, entry in entries.items():
            job = self.jobs.lacking(batch_id)
            if job is None:
                continue
            batch = job.batch.of_shard(batch_id.shard) if job.batch.is_shared else job.batch
            if error := batch.conflict(entry):
                yield Fail(error)
            log.debug("batch %s: in the store", batch_id)
            if isinstance(entry, Split):
                for part in batch.parts(entry.at):
                    self.jobs.add(part, job.alone)
                self.jobs.stored(job, batch.wanted)
            elif isinstance(entry, Counted):
                rejects = job.rejects if batch.shards == 1 else None
                last = self.jobs.stored(job, batch.wanted)
                yield Finished(batch, entry.tally, rejects, fresh=True, last=last)

    def _saver_started(self, event: SaverStarted) -> Iterator[Instruction]:
        """Queue again what the lost saver had not committed."""
        self._savers.started(event.saver, event.place)
        # A part becomes known only by the entry of the batch that it is a part of: parts come last.
        yield from self._in_the_store(dict(sorted(event.ledger.items(), key=lambda item: item[0])))
        for job in list(self.jobs.handed()):
            self.jobs.take_back(job, self._savers.at([event.place], job.batch))

    # Instructions that follow from the current state.

    def _go_on(self) -> Iterator[Instruction]:
        if self._savers.complete:
            yield from self._submissions()
            yield from self._relief()
            yield from self._conclusion()

    def _submissions(self) -> Iterator[Instruction]:
        """Submit batches as long as there are workers for them, and ask for more."""
        if self._stopping:
            return
        kept = None  # for the next suspect, when it is empty
        while (suspect := self.jobs.suspect_to_try()) is not None:
            kept = self._places.emptiest()
            hindered = self.jobs.quiet and self.jobs.in_flight
            if kept is None or hindered or not self._places.is_empty(kept):
                break
            yield from self._submit(suspect, kept)
        if self.jobs.quiet:
            return
        while (worker := self._places.next(kept)) is not None:
            job = self.jobs.next()
            if job is None:
                yield from self._ask(kept)
                yield from self._share_out(kept)
                break
            yield from self._submit(job, worker)

    def _submit(self, job: Job, worker: str) -> Iterator[Instruction]:
        batch = job.batch
        job.savers = self._savers.now
        if batch.only is not None:
            yield from self._hand_over(job, Split(batch.only, batch.checksum))
            return
        log.debug("batch %s: submitted", batch.id)
        job.refused = ""
        yield self._tasks.submit(job, worker)

    def _ask(self, kept: str | None) -> Iterator[Instruction]:
        """Ask the source for batches, if there may be some."""
        room, idle = self._places.room(kept)
        if self._source.due and self.jobs.open < self._places.most_open(self.jobs.mean_nbytes):
            self._source.ask()
            yield Take(room, idle)

    def _share_out(self, kept: str | None) -> Iterator[Instruction]:
        """A worker that has nothing takes what waits behind another's task."""
        if self._source.due or self._source.awaited:
            return
        for job, task, worker in self._tasks.to_move(kept):
            yield Withdraw(job.batch.id, task)
            yield from self._submit(job, worker)

    def _relief(self) -> Iterator[Instruction]:
        """A saver with half of all that may be open rests no longer: workers would wait."""
        half = self._places.most_open(self.jobs.mean_nbytes) // 2
        if self.jobs[State.HANDED] >= half and not self._savers.draining:
            yield from map(Drain, self._savers.drain(self.jobs.handed()))

    def _conclusion(self) -> Iterator[Instruction]:
        """The end, if there is no more to come; before it, the savers' last commits."""
        ending = self._stopping or self._source.ended
        if not ending or self._source.awaited or self.jobs.in_flight:
            return
        if self.jobs[State.HANDED]:
            yield from map(Drain, self._savers.drain(self.jobs.handed()))
        elif not self.jobs[State.MEASURED] and (self._stopping or not self.jobs.open):
            yield End(complete=not self._stopping)
