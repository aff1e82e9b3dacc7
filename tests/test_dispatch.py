"""The driver's decisions, in every order of deaths, losses and late news that hypothesis finds.

The world around the dispatcher is made here: workers that die, leave, hang, and can't be killed,
savers that are lost, a store that has a ledger. The saver's own parts are the real ones. Whatever
happens, each row must end in the store or among the rejects, once, and no innocent one is rejected
for what Dask or the platform did.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from daskingest.articles import Article, Reject
from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted, Entry, Ledger, Split
from daskingest.packed import CompressedCounts, PackedCounts
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.commit import commit
from daskingest.pipeline.deadlines import TimeLimit
from daskingest.pipeline.dispatch import Dispatcher
from daskingest.pipeline.events import (
    ControlFailed,
    ControlPassed,
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
    TaskBegun,
    TaskFailed,
    Tick,
    Withdraw,
    Woken,
    WorkerDied,
    WorkerLooked,
    WorkersSeen,
)
from daskingest.pipeline.held import Holds
from daskingest.pipeline.jobs import Jobs
from daskingest.pipeline.pending import Commit, Flush, News, Pending
from daskingest.pipeline.places import TASKS_PER_WORKER
from daskingest.pipeline.verdicts import KILLED_WORKER, NOT_TAKEN, TOO_LONG
from daskingest.shards import shard_run
from daskingest.stores import AlreadyCommitted, Hold, Replaced, TooLarge
from daskingest.tally import Tally

T = TypeVar("T")

RUN = "r"
BOOLEANS = False, True
AT_ONCE = settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""A failure is told as it was found: making it smaller takes minutes, and the tests below that go
one step at a time tell most of it as well."""

MOST_ROWS, MOST_OF_A_SHARD = 8, 3  # that fit one commit of the store
LIMIT = TimeLimit(40.0)  # four seconds for the small batches here
place_among = functools.cache(lambda number: st.integers(0, number - 1))
"""Strategies are kept: Hypothesis looks through each new one."""


@dataclass(frozen=True)
class Rows:
    """Rows with numbers, as articles.

    A worker dies of those that are `deadly`, and is never done with those that are `endless`.
    """

    numbers: tuple[int, ...]
    nbytes: int = 0

    @property
    def size(self) -> int:
        return len(self.numbers)

    def rows(self) -> Iterator[Article | Reject]:
        return (Article(str(number), f"p{number % 7}") for number in self.numbers)


def numbers_of(batch: Batch) -> list[str]:
    return [row.content for row in batch.rows() if isinstance(row, Article) and batch.has(row)]


def counts_of(numbers: list[str]) -> PackedCounts:
    counts = Counts()
    for number in numbers:
        counts.add_article("p", [(number, "ROW")])
    return counts.packed()


def names_of(shards: int) -> list[str]:
    """What the shards of the run are called in the store."""
    return [shard_run(RUN, each) for each in range(shards)] if shards > 1 else [RUN]


class Store:
    """A store in memory, as strict as the real ones: all of a commit or nothing."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.entries: Ledger = {}
        self.ever: Ledger = {}
        self.rows: Counter[str] = Counter()
        self.held: dict[str, Hold] = {}

    def take_over(self, run: str) -> tuple[Hold, Ledger]:
        before = self.held.get(run, Hold(run, 0, ""))
        self.held[run] = replace(before, epoch=before.epoch + 1)
        return self.held[run], {key: each for key, each in self.entries.items() if key.run == run}

    def commit(self, counts: PackedCounts, entries: dict[BatchId, Entry], holds: list[Hold]) -> int:
        if any(each.epoch != self.held[each.run].epoch for each in holds):
            raise Replaced(RUN, "")
        assert {each.run for each in entries} <= {each.run for each in holds}
        if entries.keys() & self.entries.keys():
            raise AlreadyCommitted
        if len(counts.words) > self.most:
            raise TooLarge
        self.entries |= entries
        self.ever |= entries
        for hold in holds:
            for batch_id in hold.settled:
                assert batch_id not in entries
                self.entries.pop(batch_id, None)  # one flush may take several commits
            self.held[hold.run] = replace(hold, settled=())
        for _, words, _ in counts.by_publication():
            self.rows.update(dict(zip(words.words, words.counts, strict=True)))
        return 0

    def ledger_entries(self, batch_ids: list[BatchId]) -> Ledger:
        return {each: self.entries[each] for each in batch_ids if each in self.entries}


@dataclass
class Saver:
    """A saver without its event loop: the parts that decide are the real ones."""

    number: int
    place: int
    holds: Holds
    pending: Pending = field(default_factory=Pending)
    news: News = field(default_factory=News)
    cursor: int = 0
    alive: bool = True
    """The driver and the workers reach it."""
    running: bool = True
    """It commits, perhaps though it was given up."""

    def add(self, batch_id: BatchId, counts: PackedCounts, entry: Entry) -> None:
        if batch_id not in self.pending and not self.holds.is_settled(batch_id):
            self.pending.add(batch_id, CompressedCounts.of(counts), entry, limit=6, now=0.0)

    def flush(self, store: Store) -> None:
        flush: Flush | None = self.pending.first
        if flush is not None:
            flush.closed = True
            holds = self.holds.next(flush.batches, self.pending)
            try:
                done = commit(flush, holds, store)  # type: ignore[arg-type]
            except Replaced:
                assert not self.alive, "the one that is in use was replaced"
                self.running = False
                return
            self.holds.committed(done.entries, holds if done.commits else ())
            self.news.add(done.entries, Commit(0.0, done.writes))
            self.pending.remove_first(0.0, 0.0)


@dataclass
class Running:
    """A task on a worker."""

    submit: Submit
    savers: list[Saver]
    begun: bool = False
    passed: bool = False
    """Whether it has begun with the batch itself."""

    @property
    def batch(self) -> Batch:
        return self.submit.batch


KINDS = ("lose", "late", "copy", "leave", "die", "unfit")
"""What may go wrong: with the saver, its reports, copies of counts, and workers that are told to
go, that die, and that fail on a harmless text."""

HARMLESS = ("lose", "leave", "unfit")
"""What tells nothing about any article."""


class World:
    """Carries out instructions, whenever and however `choose` wants it."""

    def __init__(self, plan: Plan, choose: st.DataObject) -> None:
        self.plan = plan
        self.choose = choose
        self.store = Store(MOST_ROWS if plan.shards == 1 else MOST_OF_A_SHARD)
        self.finished: Counter[BatchId] = Counter()
        self.last: Counter[BatchId] = Counter()
        self.end: End | Fail | None = None
        self.troubles = plan.troubles
        self.unexplained = 0
        """Deaths of workers that had begun with something innocent, for no reason that is known."""
        self.fates: dict[str, str] = {}
        """Why a worker will be gone."""

    def run(self, stop_after: int | None = None) -> None:
        """One driver's run, from start to end."""
        self.finished.clear()
        self.last.clear()
        self.end = None
        self.batches = iter(self.plan.batches())
        self.tasks: dict[int, Running] = {}
        self.ends: list[Event] = []  # of tasks, that the driver does not know of yet
        self.owed: list[Take | CountRows | HandOver | Drain | StartSaver] = []
        self.savers: list[Saver] = []
        self.delivered: list[tuple[Batch, Saver]] = []
        self.ledger: Ledger = {}
        self.forgotten: set[BatchId] = set()
        self.names = map("w{}".format, itertools.count())
        self.workers = {next(self.names) for _ in range(self.plan.workers)}
        self.seen = frozenset(self.workers)
        self.now = 0.0
        for place in range(self.plan.savers):
            self.ledger |= self.start_saver(place)
        numbers = [each.number for each in self.savers]
        self.dispatcher = Dispatcher(self.ledger, numbers, self.workers, LIMIT)
        self.obey(self.dispatcher.begin())
        for step in itertools.count():
            if self.end is not None:
                return
            assert step < 3_000, "it goes on for ever"
            self.step()
            if step == stop_after:
                self.tell(StopAsked())

    def step(self) -> None:
        """Let something happen: what is owed, or trouble."""
        news = [each for each in self.current if each.alive and each.news]
        first = [each for each in self.first_tasks() if not each.passed]
        can_end = [each for each in self.tasks.values() if each.passed and not self.hangs(each)]
        can = [
            *("owed" for _ in self.owed),
            *("begin" for _ in first),
            *("task" for _ in can_end),
            *("end" for _ in self.ends),
            *("flush" for each in self.savers if each.running and each.pending.first),
            *("report" for _ in news),
            *(["workers"] if self.seen != self.workers or not self.workers else []),
        ]
        if any(each.passed and self.hangs(each) for each in self.tasks.values()) and not can_end:
            can += ["time"]  # the others are in time
        if self.plan.undying and not can:
            can = ["join"]  # each of those there were is given up
        assert can, f"it waits for nothing: {self.dispatcher!r}"
        if self.troubles > 0:
            can += self.plan.kinds
        what = self.pick(can)
        self.troubles -= what in self.plan.kinds
        match what:
            case "owed":
                self.pay(self.owed.pop(self.pick(range(len(self.owed)))))
            case "begin":
                self.begin(self.pick(first))
            case "task":
                self.end_of(self.pick(can_end))
            case "end":
                self.tell(self.ends.pop(self.pick(range(len(self.ends)))))
            case "flush":
                full = [each for each in self.savers if each.running and each.pending.first]
                self.pick(full).flush(self.store)
            case "report":
                self.report(self.pick(news), repeat=False)
            case "time":
                self.now += 1.5
                self.tell(Tick(self.now))
            case "workers":
                while len(self.workers) < self.plan.workers:
                    self.workers.add(next(self.names))
                self.seen = frozenset(self.workers)
                self.tell(WorkersSeen(self.seen))
            case "join":
                self.workers.add(next(self.names))
            case "lose" if there := [each for each in self.current if each.alive]:
                saver = self.pick(there)
                saver.alive = False
                saver.running = self.pick(BOOLEANS)
                self.tell(SaverGone(saver.number))
            case "late":
                self.report(self.pick(self.savers), repeat=True)
                self.tell(Woken())
            case "copy" if self.delivered:
                # A worker that was given up hands over once more what it has.
                batch, saver = self.pick(self.delivered)
                self.hand_over(batch, saver)
            case "leave" | "die" if self.workers:
                busy = {each.submit.worker for each in self.tasks.values() if each.passed}
                worker = self.pick(sorted(busy or self.workers))
                self.gone(worker, explained=what == "leave" or self.pick(BOOLEANS))
            case "unfit":
                tries = [each for each in first if each.submit.alone and each.begun]
                for each in tries:
                    if self.pick(BOOLEANS):
                        self.gone(each.submit.worker, explained=False)
                    else:
                        del self.tasks[each.submit.task]
                        failed = ControlFailed(each.batch.id, each.submit.task, "no memory")
                        self.ends.append(failed)

    def pick(self, among: Sequence[T]) -> T:
        """One of these. Hypothesis takes long to be asked: where there is just one, it is not."""
        return among[self.choose.draw(place_among(len(among))) if len(among) > 1 else 0]

    def first_tasks(self) -> Iterator[Running]:
        """The task that each worker is at, or would begin with."""
        of: dict[str, Running] = {}
        for task in self.tasks.values():
            of.setdefault(task.submit.worker, task)
        yield from of.values()

    def hangs(self, task: Running) -> bool:
        return bool(self.plan.endless & set(numbers_of(task.batch)))

    def is_guilty(self, task: Running) -> bool:
        return bool(self.plan.guilty & set(numbers_of(task.batch)))

    def begin(self, task: Running) -> None:
        """A worker begins, with a harmless text first if it tries a suspect."""
        batch, number = task.batch, task.submit.task
        if not task.begun:
            task.begun, task.passed = True, not task.submit.alone
            self.tell(TaskBegun(batch.id, number))
        else:
            task.passed = True
            self.tell(ControlPassed(batch.id, number))

    def gone(self, worker: str, explained: bool) -> None:
        """A worker is there no more, and the driver will hear so of each of its tasks."""
        self.workers.discard(worker)
        for number, each in list(self.tasks.items()):
            if each.submit.worker == worker:
                del self.tasks[number]
                self.ends.append(WorkerDied(each.batch.id, number, explained))
                blamed = each.passed and not explained and not self.is_guilty(each)
                self.unexplained += blamed

    def report(self, saver: Saver, repeat: bool) -> None:
        """News, or news reported before: a report may come twice, and late."""
        saver.news.acknowledge(saver.cursor)
        report = saver.news.report("")
        if not repeat:
            saver.cursor = report.next
        self.tell(Reported(report.committed, report.refused, place=saver.place))

    def end_of(self, task: Running) -> None:
        """What becomes of a task."""
        batch, number = task.batch, task.submit.task
        numbers = numbers_of(batch)
        kind = "extracted"
        if self.plan.deadly & set(numbers):
            kind = "died"
        elif self.troubles > 0 and self.plan.kinds == KINDS:
            kind = self.pick(["extracted", "died", "failed", "handed"])
            self.troubles -= kind != "extracted"
        if kind == "died":
            self.gone(task.submit.worker, explained=self.troubles > 0 and self.draw_trouble())
            return
        if kind == "failed":
            del self.tasks[number]
            self.ends.append(TaskFailed(batch.id, number, ValueError("now and then")))
            return
        arrived = self.hand_over_all(task)
        if kind == "handed":  # the worker dies when it has handed its counts over
            self.gone(task.submit.worker, explained=False)
            return
        del self.tasks[number]
        told = Extracted(batch.id, number, []) if arrived else None
        self.ends.append(told or SaverUnreached(batch.id, number, "gone"))

    def draw_trouble(self) -> bool:
        trouble = self.pick(BOOLEANS)
        self.troubles -= trouble
        return trouble

    def hand_over_all(self, task: Running) -> bool:
        """To the saver of each shard, one after the other; returns whether all were reached."""
        for batch in task.batch.apart():
            saver = task.savers[batch.wanted[0] % len(task.savers)]
            if not saver.alive:
                return False
            self.hand_over(batch, saver)
        return True

    def hand_over(self, batch: Batch, saver: Saver) -> None:
        numbers = numbers_of(batch)
        tally = Tally(rows=len(numbers), articles=len(numbers))
        saver.add(batch.id, counts_of(numbers), Counted(tally))
        self.delivered.append((batch, saver))

    def pay(self, owed: Take | CountRows | HandOver | Drain | StartSaver) -> None:
        match owed:
            case Take(most, _):
                self.take(most)
            case CountRows(batch):
                self.tell(RowsCounted(batch.id, *batch.measure()))
            case HandOver(batch_id, entry, number):
                saver = self.savers[number - 1]
                if saver.alive:
                    saver.add(batch_id, PackedCounts(), entry)
                else:
                    self.tell(NotHandedOver(batch_id, number))
            case Drain(number):
                saver = self.savers[number - 1]
                while saver.alive and saver.pending.first:
                    saver.flush(self.store)
                if saver.alive:
                    self.report(saver, repeat=False)
            case StartSaver(runs, place):
                entries = self.start_saver(place)
                assert runs <= {RUN}
                self.tell(SaverStarted(self.savers[-1].number, entries, place))

    @property
    def current(self) -> list[Saver]:
        """The last saver in each place."""
        return list({each.place: each for each in self.savers}.values())

    def start_saver(self, place: int) -> Ledger:
        """It takes over its shards of the run, and then reads their ledger."""
        holds, found = Holds(), Ledger()
        for shard, run in enumerate(names_of(self.plan.shards)):
            if shard % self.plan.savers == place:
                hold, ledger = self.store.take_over(run)
                holds.take(hold, ledger)
                found |= ledger
        self.savers.append(Saver(len(self.savers) + 1, place, holds))
        return found

    def take(self, most: int) -> None:
        """What the source returns: perhaps none yet; then it wakes the driver later."""
        if self.troubles > 0 and self.pick(BOOLEANS):
            self.troubles -= 1
            self.tell(Taken([]))
            self.tell(Woken())
            return
        self.tell(Taken(list(itertools.islice(self.batches, most)) or None))

    def tell(self, event: Event) -> None:
        self.obey(self.dispatcher.handle(event))
        handed = sum(each.batch.share for each in self.dispatcher.jobs.handed())
        assert self.dispatcher.jobs.handed_bytes == handed

    def obey(self, instructions: list[Instruction]) -> None:
        for each in instructions:
            assert self.end is None, "an instruction after the end"
            match each:
                case Submit():
                    self.submit(each)
                case Withdraw():
                    self.withdraw(each)
                case LookAtWorker(batch_id, task):
                    self.tell(WorkerLooked(batch_id, task, self.now, hindered=False))
                case KillWorker(worker):
                    if not self.plan.undying:
                        self.gone(worker, explained=False)
                case Finished():
                    self.note(each)
                case End() | Fail():
                    self.end = each
                case GivenUp(_, error):  # as the driver does, unless its observer lets it go on
                    self.end = Fail(error)
                    return
                case _:
                    self.owed.append(each)

    def submit(self, submit: Submit) -> None:
        ids = [each.batch.id for each in self.tasks.values()]
        assert submit.batch.id not in ids, "two tasks of one batch"
        beside = [each for each in self.tasks.values() if each.submit.worker == submit.worker]
        assert len(beside) < TASKS_PER_WORKER, "too many in flight"
        assert not any(each.submit.alone for each in beside), "beside a suspect"
        assert not (submit.alone and beside), "a suspect beside another"
        if submit.worker in self.workers:
            self.tasks[submit.task] = Running(submit, self.current)
        else:  # it went, and the driver had not heard of it
            self.ends.append(WorkerDied(submit.batch.id, submit.task, explained=True))

    def withdraw(self, withdraw: Withdraw) -> None:
        """Perhaps the worker has begun, and hands its counts over all the same."""
        task = self.tasks.pop(withdraw.task, None)
        if task is None or self.is_guilty(task) or not self.troubles or not self.draw_trouble():
            return
        self.hand_over_all(task)

    def note(self, finished: Finished) -> None:
        batch_id = finished.batch.id
        assert isinstance(self.store.ever.get(batch_id), Counted), "told before it was stored"
        self.finished[batch_id] += 1
        given = batch_id.given
        self.last[given] += finished.last
        assert self.finished[batch_id] == 1, "reported twice"
        assert self.last[given] <= 1, "the last part twice"
        if finished.last and self.plan.forgetful:
            self.forgotten.add(given)
            numbers = (n for n in itertools.count(1) if BatchId(RUN, str(n)) not in self.forgotten)
            up_to = next(numbers) - 1
            for saver in self.current:
                for run in names_of(self.plan.shards):
                    saver.holds.forget(run, up_to, 0.0)


@dataclass(frozen=True)
class Plan:
    """Batches of so many rows each, what is bad in them, and how much may go wrong."""

    sizes: list[int]
    deadly: frozenset[str]
    endless: frozenset[str]
    workers: int
    troubles: int
    limit: int | None = None
    kinds: tuple[str, ...] = KINDS
    undying: bool = False
    """No worker can be killed."""
    shards: int = 1
    savers: int = 1
    forgetful: bool = True
    """The source forgets what is in the store, as a spool does, and then the ledger may."""

    @property
    def guilty(self) -> frozenset[str]:
        return self.deadly | self.endless

    def batches(self) -> Iterator[Batch]:
        first = 0
        for place, size in enumerate(self.sizes, 1):
            batch = Batch(BatchId(RUN, str(place)), Rows(tuple(range(first, first + size))))
            batch = batch.in_shards(self.shards)
            first += size
            if self.limit is not None and first > self.limit:
                left = self.limit - (first - size)
                if left > 0:
                    yield replace(batch, only=left)
                return
            yield batch

    @property
    def numbers(self) -> list[str]:
        total = sum(self.sizes)
        return [str(number) for number in range(min(total, self.limit or total))]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    sizes = draw(st.lists(st.integers(1, 12), min_size=0, max_size=8))
    numbers = [str(number) for number in range(sum(sizes))]
    deadly = draw(st.sets(st.sampled_from(numbers), max_size=2)) if numbers else set()
    endless = draw(st.sets(st.sampled_from(numbers), max_size=1)) if numbers else set()
    workers, troubles = draw(st.integers(1, 3)), draw(st.integers(0, 12))
    shards, savers = draw(st.sampled_from([(1, 1), (3, 3), (3, 2), (2, 3)]))
    plan = Plan(sizes, frozenset(deadly), frozenset(endless), workers, troubles)
    return replace(plan, shards=shards, savers=savers)


def check(world: World, plan: Plan) -> None:
    """Each row is in the store once, or it is a reject, and only what is deadly or endless is.

    An innocent one is where five workers died with it, four times alone, and nobody knows why.
    """
    rejected: Counter[str] = Counter()
    for batch in plan.batches():
        for each in batch.apart():
            rejected.update(rejects_of(each, world.store.ever))
    assert world.store.rows + rejected == Counter(plan.numbers)
    assert set(rejected) <= plan.guilty or world.unexplained >= 5
    if not plan.troubles:
        assert set(rejected) == plan.guilty & set(plan.numbers)


def rejects_of(batch: Batch, entries: Ledger) -> Iterator[str]:
    """The numbers of a batch's rows that were rejected."""
    match entries[batch.id]:
        case Split(at):
            for part in batch.parts(at):
                yield from rejects_of(part, entries)
        case Counted(tally):
            numbers = [row.content for row in batch.rows() if isinstance(row, Article)]
            yield from (numbers[row] for row in tally.failed)


@AT_ONCE
@given(plans(), st.data())
def test_each_row_is_counted_once_whatever_happens(plan: Plan, data: st.DataObject) -> None:
    world = World(plan, data)
    world.run()
    if isinstance(world.end, Fail):  # a batch failed three times, or ten times reached no saver
        assert plan.troubles >= 3
        return
    assert world.end == End(complete=True)
    check(world, plan)
    wholes = {batch.id for batch in plan.batches()}
    assert {each.given for each in world.finished} == wholes == set(+world.last)


@AT_ONCE
@given(plans(), st.data(), st.integers(0, 60))
def test_no_innocent_article_is_rejected_for_what_is_explained(
    plan: Plan, data: st.DataObject, troubles: int
) -> None:
    """However many workers are told to go, or fail the control."""
    plan = replace(plan, sizes=plan.sizes[:3], kinds=HARMLESS, troubles=troubles)
    plan = replace(plan, deadly=plan.deadly & set(plan.numbers))
    world = World(plan, data)
    world.run()
    if isinstance(world.end, Fail):
        assert "harmless text" in str(world.end.error) or "saver" in str(world.end.error)
        return
    check(world, plan)
    assert world.unexplained == 0
    entries = world.store.ever
    apart = (each for batch in plan.batches() for each in batch.apart())
    rejects = {number for each in apart for number in rejects_of(each, entries)}
    assert rejects == plan.guilty & set(plan.numbers)


@AT_ONCE
@given(plans(), st.data())
def test_workers_that_can_t_be_killed_keep_nothing_from_being_counted(
    plan: Plan, data: st.DataObject
) -> None:
    plan = replace(plan, sizes=plan.sizes[:3], troubles=0, undying=True)
    world = World(plan, data)
    world.run()
    assert world.end == End(complete=True)
    check(world, plan)


@AT_ONCE
@given(plans(), st.data(), st.lists(st.integers(1, 30), max_size=3), st.integers(1, 40))
def test_a_run_that_was_stopped_or_limited_goes_on(
    plan: Plan, data: st.DataObject, stops: list[int], limit: int
) -> None:
    """Each of the runs is with a driver of its own; only the store is the same."""
    plan = replace(plan, forgetful=False)
    world = World(replace(plan, limit=limit), data)
    for steps in stops:
        world.run(stop_after=steps)
        if isinstance(world.end, End) and world.end.complete:
            check(world, world.plan)
    for each in (replace(plan, limit=limit, troubles=0), replace(plan, troubles=0)):
        world.plan, world.troubles = each, 0
        world.run()
        assert world.end == End(complete=True)
        assert max(world.store.rows.values(), default=1) == 1
    check(world, plan)


# The same, one aspect at a time.


def rows(count: int, place: int = 0, first: int = 0) -> Batch:
    return Batch(BatchId(RUN, str(place)), Rows(tuple(range(first, first + count))))


def names(workers: int) -> frozenset[str]:
    return frozenset(f"w{number}" for number in range(workers))


def started(workers: int = 1, ledger: Ledger | None = None) -> Dispatcher:
    """A dispatcher that has just asked its source."""
    dispatcher = Dispatcher(ledger or {}, [1], names(workers), LIMIT)
    assert dispatcher.begin() == [Take(TASKS_PER_WORKER * workers, workers)]
    return dispatcher


def counted(number: int = 1) -> Counted:
    return Counted(Tally(rows=number, articles=number))


def rejected(reason: str) -> Counted:
    tally = Tally(rows=1)
    tally.reject(0, reason)
    return Counted(tally)


def died(dispatcher: Dispatcher, submit: Submit, explained: bool = False) -> list[Instruction]:
    """A worker begins with a batch, and dies."""
    batch_id, task = submit.batch.id, submit.task
    assert dispatcher.handle(TaskBegun(batch_id, task)) == []
    if submit.alone:
        assert dispatcher.handle(ControlPassed(batch_id, task)) == []
    found = dispatcher.handle(WorkerDied(batch_id, task, explained))
    return [*found, *dispatcher.handle(WorkersSeen(names(1)))]


def test_a_batch_s_way_into_the_store() -> None:
    batch = rows(3)
    dispatcher = started()
    assert dispatcher.handle(Taken([batch])) == [Submit(batch, 1, "w0"), Take(1, 0)]
    assert dispatcher.handle(Taken(None)) == []
    assert dispatcher.handle(Extracted(batch.id, 1, [])) == [Drain(1)]
    entry = counted(3)
    assert dispatcher.handle(Reported({batch.id: entry})) == [
        Finished(batch, entry.tally, [], fresh=True, last=True),
        End(complete=True),
    ]
    assert dispatcher.handle(Reported({batch.id: entry})) == []


def test_no_more_than_two_tasks_a_worker_are_in_flight() -> None:
    batches = [rows(1, place, place) for place in range(5)]
    dispatcher = started(workers=2)
    submitted = dispatcher.handle(Taken(batches))
    places = ["w0", "w1", "w0", "w1"]
    assert submitted == [
        Submit(each, task, worker)
        for each, task, worker in zip(batches[:4], range(1, 5), places, strict=True)
    ]
    found = dispatcher.handle(Extracted(batches[0].id, 1, []))
    assert [each for each in found if isinstance(each, Submit)] == [Submit(batches[4], 5, "w0")]


def test_what_a_lost_saver_had_not_committed_is_extracted_again() -> None:
    first, second = rows(1), rows(1, 1, 1)
    dispatcher = started()
    dispatcher.handle(Taken([first, second]))
    dispatcher.handle(Extracted(first.id, 1, []))
    dispatcher.handle(Taken(None))
    dispatcher.handle(Extracted(second.id, 2, []))
    assert dispatcher.handle(SaverGone(1)) == [StartSaver(frozenset({RUN}))]
    entry = counted()
    assert dispatcher.handle(SaverStarted(2, {first.id: entry})) == [
        Finished(first, entry.tally, [], fresh=True, last=True),
        Submit(second, 3, "w0"),
    ]
    assert dispatcher.handle(SaverGone(1)) == []
    assert dispatcher.handle(Extracted(second.id, 3, [])) == [Drain(2)]


def test_nothing_is_submitted_while_there_is_no_saver() -> None:
    batch = rows(1)
    dispatcher = started()
    dispatcher.handle(SaverGone(1))
    assert dispatcher.handle(Taken([batch])) == []
    assert dispatcher.handle(SaverStarted(2, {})) == [Submit(batch, 1, "w0"), Take(1, 0)]


def test_what_kills_its_worker_is_tried_alone_and_rejected() -> None:
    batch, other = rows(1), rows(1, 1, 1)
    dispatcher = started()
    first, second = dispatcher.handle(Taken([batch, other]))
    assert isinstance(first, Submit) and isinstance(second, Submit)
    found = died(dispatcher, first)
    assert found == [Submit(batch, 3, "w0")]
    assert died(dispatcher, Submit(batch, 3, "w0")) == []  # not while another is with the worker
    found = dispatcher.handle(Extracted(other.id, 2, []))
    for task in (4, 5, 6):
        alone = Submit(batch, task, "w0", alone=True)
        assert found[:1] == [alone]
        assert died(dispatcher, alone)[:1] == [CountRows(batch)]
        found = dispatcher.handle(RowsCounted(batch.id, 1, 1, 0))
    assert found == [HandOver(batch.id, rejected(KILLED_WORKER), 1)]
    found = dispatcher.handle(NotHandedOver(batch.id, 1))
    assert found == [Submit(batch, 7, "w0", alone=True)]


def suspect(workers: int = 1) -> tuple[Dispatcher, Batch, Submit]:
    """A dispatcher that tries its only batch alone."""
    batch = rows(1)
    dispatcher = started(workers)
    [submit, _] = dispatcher.handle(Taken([batch]))
    dispatcher.handle(Taken(None))
    for _ in range(2):
        assert isinstance(submit, Submit) and not submit.alone
        [submit] = died(dispatcher, submit)
    assert isinstance(submit, Submit) and submit.alone
    return dispatcher, batch, submit


def tried() -> tuple[Dispatcher, Submit]:
    """A dispatcher of whose only batch a worker tries the article."""
    dispatcher, _, submit = suspect()
    dispatcher.handle(TaskBegun(submit.batch.id, submit.task))
    dispatcher.handle(ControlPassed(submit.batch.id, submit.task))
    return dispatcher, submit


def test_a_death_that_is_explained_is_none_of_the_batch_s() -> None:
    dispatcher, _, submit = suspect()
    for _ in range(20):
        [again] = died(dispatcher, submit, explained=True)
        assert isinstance(again, Submit)
        submit = again


def test_a_death_before_a_batch_was_begun_with_is_none_of_it() -> None:
    batch = rows(1)
    dispatcher = started()
    dispatcher.handle(Taken([batch]))
    for task in range(1, 8):
        dispatcher.handle(WorkerDied(batch.id, task))
        [again, *_] = dispatcher.handle(WorkersSeen(names(1)))
        assert again == Submit(batch, task + 1, "w0")


def test_a_worker_that_fails_the_control_is_replaced_and_tells_nothing() -> None:
    dispatcher, batch, submit = suspect()
    for kind in [ControlFailed, WorkerDied] * 4:
        dispatcher.handle(TaskBegun(batch.id, submit.task))
        if kind is ControlFailed:
            event: Event = ControlFailed(batch.id, submit.task, "no memory")
            assert dispatcher.handle(event) == [KillWorker("w0")]
        else:
            assert dispatcher.handle(WorkerDied(batch.id, submit.task)) == []
        [again] = dispatcher.handle(WorkersSeen(names(1)))
        assert isinstance(again, Submit)
        submit = again
    assert died(dispatcher, submit) == [CountRows(batch)]


def test_if_no_worker_passes_the_control_the_run_ends() -> None:
    dispatcher, batch, submit = suspect()
    for _ in range(9):
        dispatcher.handle(ControlFailed(batch.id, submit.task, "no memory"))
        [again] = dispatcher.handle(WorkersSeen(names(1)))
        assert isinstance(again, Submit)
        submit = again
    [kill, fail] = dispatcher.handle(ControlFailed(batch.id, submit.task, "no memory"))
    assert kill == KillWorker("w0")
    assert isinstance(fail, Fail)
    assert "failed on a harmless text, the last because no memory" in str(fail.error)


def test_others_go_on_while_a_suspect_is_tried_on_one_worker() -> None:
    batches = [rows(1, place, place) for place in range(6)]
    poison, waiting = batches[0], batches[2]
    dispatcher = started(workers=2)
    dispatcher.handle(Taken(batches[:4]))
    for task, worker in ((1, "w2"), (5, "w3")):
        dispatcher.handle(TaskBegun(poison.id, task))
        dispatcher.handle(WorkerDied(poison.id, task))
        found = dispatcher.handle(WorkersSeen(frozenset({"w1", worker})))
    assert found == [Submit(poison, 6, "w3", alone=True)]
    assert dispatcher.handle(WorkerDied(waiting.id, 3)) == []
    assert dispatcher.handle(Taken(batches[4:])) == []  # nothing goes beside the suspect
    assert dispatcher.handle(Extracted(batches[1].id, 2, [])) == [Submit(waiting, 7, "w1")]
    assert dispatcher.handle(Extracted(batches[3].id, 4, [])) == [Submit(batches[4], 8, "w1")]
    dispatcher.handle(TaskBegun(poison.id, 6))
    dispatcher.handle(ControlPassed(poison.id, 6))
    assert dispatcher.handle(Extracted(waiting.id, 7, [])) == [Submit(batches[5], 9, "w1")]
    assert dispatcher.handle(WorkerDied(poison.id, 6))[0] == CountRows(poison)


def ticks(
    dispatcher: Dispatcher, first: float, last: float, share: float = 1.0, hindered: bool = False
) -> list[Instruction]:
    """What is to be done while time goes by, of which workers had this share of a processor."""
    found: list[Instruction] = []
    now = first
    while now <= last:
        for each in dispatcher.handle(Tick(now)):
            if isinstance(each, LookAtWorker):
                used = now * share if share else None
                dispatcher.handle(WorkerLooked(each.batch_id, each.task, used, hindered))
                found += dispatcher.handle(Tick(now))
            else:
                found.append(each)
        now += 1.0
    return found


def test_a_batch_s_time_begins_when_a_worker_begins_with_it() -> None:
    batch, behind = rows(1), rows(1, 1, 1)
    dispatcher = started()
    dispatcher.handle(Taken([batch, behind]))
    dispatcher.handle(Taken(None))
    assert ticks(dispatcher, 0, 100) == []
    dispatcher.handle(TaskBegun(batch.id, 1))
    assert ticks(dispatcher, 101, 102) == []
    assert dispatcher.late == {}
    assert ticks(dispatcher, 103, 104) == []
    assert dispatcher.late == {batch.id: 4.0}  # of four; it is told before it is too late
    assert ticks(dispatcher, 105, 105) == [KillWorker("w0")]
    assert dispatcher.late == {batch.id: 5.0}
    assert dispatcher.handle(WorkerDied(batch.id, 1)) == []
    assert dispatcher.handle(WorkerDied(behind.id, 2)) == []
    assert dispatcher.late == {}
    assert dispatcher.handle(WorkersSeen(frozenset({"w1"}))) == [
        Submit(batch, 3, "w1", alone=True),
    ]
    found = dispatcher.handle(Extracted(batch.id, 3, []))
    assert Submit(behind, 4, "w1") in found  # what waited behind it was never blamed


def test_an_article_that_takes_too_long_is_rejected() -> None:
    batch = rows(1)
    dispatcher = started()
    [submit, _] = dispatcher.handle(Taken([batch]))
    dispatcher.handle(Taken(None))
    now, found = 0.0, [submit]
    for alone in (False, True, True):
        [submit] = found
        assert isinstance(submit, Submit) and submit.alone is alone
        dispatcher.handle(TaskBegun(batch.id, submit.task))
        dispatcher.handle(ControlPassed(batch.id, submit.task))
        assert ticks(dispatcher, now, now + 5) == [KillWorker("w0")]
        now += 5
        found = dispatcher.handle(WorkerDied(batch.id, submit.task, explained=True))
        if alone:
            assert found == [CountRows(batch)]
            found = dispatcher.handle(RowsCounted(batch.id, 1, 1, 0))
        found += dispatcher.handle(WorkersSeen(names(1)))
    assert found == [HandOver(batch.id, rejected(TOO_LONG), 1), Drain(1)]


def test_a_large_article_has_the_time_of_its_own_size() -> None:
    """It is known only when its part was measured."""
    dispatcher, batch, submit = suspect()
    assert died(dispatcher, submit) == [CountRows(batch)]
    [again] = dispatcher.handle(RowsCounted(batch.id, 1, 1 << 20, 0))
    assert isinstance(again, Submit)
    dispatcher.handle(TaskBegun(batch.id, again.task))
    dispatcher.handle(ControlPassed(batch.id, again.task))
    assert ticks(dispatcher, 0, 40) == []
    assert ticks(dispatcher, 41, 41) == [KillWorker("w0")]


def test_time_in_which_a_worker_had_no_processor_does_not_count() -> None:
    """It has the fifth part of one, and its limit is four seconds."""
    dispatcher, submit = tried()
    assert ticks(dispatcher, 0, 19, share=0.2) == []
    assert dispatcher.late == {submit.batch.id: 19.0}
    assert ticks(dispatcher, 20, 21, share=0.2) == [KillWorker("w0")]
    assert died(dispatcher, submit) == [CountRows(submit.batch)]


def test_what_a_worker_had_before_its_task_does_not_count() -> None:
    batch = rows(1)
    dispatcher = started()
    dispatcher.handle(Taken([batch]))
    dispatcher.handle(TaskBegun(batch.id, 1, used=1000.0))
    assert ticks(dispatcher, 0, 40) == []


def test_a_worker_that_waits_for_something_is_ended_much_later() -> None:
    for share in (0.0, 0.01):  # it does not answer, or does nothing but that
        dispatcher, submit = tried()
        assert ticks(dispatcher, 0, 40, share) == []
        assert ticks(dispatcher, 41, 41, share) == [KillWorker("w0")]
        assert died(dispatcher, submit) == [CountRows(submit.batch)]


def test_a_worker_that_is_kept_from_working_is_replaced_and_no_article_is_blamed() -> None:
    batch = rows(1)
    dispatcher = started()
    [submit, _] = dispatcher.handle(Taken([batch]))
    dispatcher.handle(Taken(None))
    found, now = [submit], 0.0
    for _ in range(20):
        [submit] = found
        assert isinstance(submit, Submit)
        dispatcher.handle(TaskBegun(batch.id, submit.task))
        dispatcher.handle(ControlPassed(batch.id, submit.task))
        assert ticks(dispatcher, now, now + 41, 0.0, hindered=True) == [KillWorker("w0")]
        now += 41
        assert dispatcher.handle(WorkerDied(batch.id, submit.task)) == []
        found = dispatcher.handle(WorkersSeen(names(1)))


def test_time_that_nobody_looked_at_does_not_count() -> None:
    batch = rows(1)
    dispatcher = started()
    dispatcher.handle(Taken([batch]))
    dispatcher.handle(Tick(0.0))
    dispatcher.handle(TaskBegun(batch.id, 1))
    dispatcher.handle(Tick(2.0))
    assert dispatcher.handle(Tick(3600.0)) == [LookAtWorker(batch.id, 1, "w0")]
    dispatcher = Dispatcher({}, [1], names(1), TimeLimit(60.0))
    dispatcher.begin()
    dispatcher.handle(Taken([batch]))
    dispatcher.handle(Tick(0.0))
    dispatcher.handle(TaskBegun(batch.id, 1))
    assert dispatcher.handle(Tick(3600.0)) == []


def test_a_worker_that_can_t_be_killed_is_given_up() -> None:
    batch, behind = rows(1), rows(1, 1, 1)
    dispatcher = started()
    dispatcher.handle(Taken([batch, behind]))
    dispatcher.handle(Taken(None))
    dispatcher.handle(TaskBegun(batch.id, 1))
    found = ticks(dispatcher, 0, 66)
    assert found == [KillWorker("w0")] * 6 + [Withdraw(batch.id, 1), Withdraw(behind.id, 2)]
    assert dispatcher.handle(WorkersSeen(names(1))) == []
    assert dispatcher.handle(Extracted(batch.id, 1, [])) == []  # too late
    assert dispatcher.handle(WorkersSeen(names(2)))[0] == Submit(batch, 3, "w1", alone=True)


def test_a_worker_with_nothing_to_do_takes_what_waits_behind_another_s_task() -> None:
    batches = [rows(1, place, place) for place in range(4)]
    dispatcher = started(workers=2)
    dispatcher.handle(Taken(batches))
    dispatcher.handle(Taken(None))
    dispatcher.handle(TaskBegun(batches[0].id, 1))
    dispatcher.handle(Extracted(batches[1].id, 2, []))
    assert dispatcher.handle(Extracted(batches[3].id, 4, [])) == [
        Withdraw(batches[2].id, 3),
        Submit(batches[2], 5, "w1"),
    ]
    assert dispatcher.handle(Extracted(batches[2].id, 3, [])) == []  # it was withdrawn


def test_what_is_too_large_for_a_commit_is_cut_in_two() -> None:
    batch = rows(3)
    dispatcher = started()
    dispatcher.handle(Taken([batch]))
    dispatcher.handle(Taken(None))
    dispatcher.handle(Extracted(batch.id, 1, []))
    assert dispatcher.handle(Reported({}, (batch.id,))) == [CountRows(batch)]
    assert dispatcher.handle(RowsCounted(batch.id, 3, 3, 1)) == [
        HandOver(batch.id, Split(1), 1),
        Drain(1),
    ]
    head, tail = batch.parts(1)
    assert dispatcher.handle(Reported({batch.id: Split(1)})) == [
        Submit(head, 2, "w0"),
        Submit(tail, 3, "w0"),
    ]
    dispatcher.handle(Extracted(head.id, 2, []))
    dispatcher.handle(Extracted(tail.id, 3, []))
    entry = counted()
    first, second = (
        Finished(part, entry.tally, [], fresh=True, last=last)
        for part, last in ((tail, False), (head, True))
    )
    assert dispatcher.handle(Reported({tail.id: entry})) == [first, Drain(1)]
    assert dispatcher.handle(Reported({head.id: entry})) == [second, End(complete=True)]


def test_what_the_ledger_has_is_not_submitted() -> None:
    batch, other = rows(2), rows(1, 1, 2)
    head, tail = batch.parts(1)
    ledger: Ledger = {batch.id: Split(1), head.id: counted(), other.id: counted()}
    dispatcher = started(ledger=ledger)
    assert dispatcher.handle(Taken([batch, other])) == [
        Finished(head, counted().tally, None, fresh=False, last=False),
        Finished(other, counted().tally, None, fresh=False, last=True),
        Submit(tail, 1, "w0"),
        Take(1, 0),
    ]


def test_a_batch_whose_task_fails_three_times_is_given_up() -> None:
    batch, other = rows(1), rows(1, place=1)
    dispatcher = started()
    dispatcher.handle(Taken([batch, other]))
    for task in (1, 3):
        found = dispatcher.handle(TaskFailed(batch.id, task, ValueError("no")))
        assert found[0] == Submit(batch, task + 2 if task == 1 else task + 1, "w0")
    given_up, *_ = dispatcher.handle(TaskFailed(batch.id, 4, ValueError("no")))
    assert isinstance(given_up, GivenUp)
    assert given_up.batch == batch
    assert str(given_up.error) == "a batch could not be counted: ValueError: no"
    dispatcher.handle(Taken(None))
    assert dispatcher.handle(Extracted(other.id, 2, [])) == [Drain(1)]
    assert dispatcher.handle(Reported({other.id: counted()}))[-1] == End(complete=True)


def test_stopping_waits_for_what_is_in_flight_alone() -> None:
    first, second, third = (rows(1, place, place) for place in range(3))
    dispatcher = started()
    dispatcher.handle(Taken([first, second, third]))
    assert dispatcher.handle(StopAsked()) == []
    dispatcher.handle(Extracted(first.id, 1, []))
    assert dispatcher.handle(WorkerDied(second.id, 2)) == [Drain(1)]
    assert dispatcher.handle(Reported({first.id: counted()}))[-1] == End(complete=False)


def test_an_empty_source_is_asked_again_when_something_has_changed() -> None:
    dispatcher = started(workers=2)
    assert dispatcher.handle(Taken([])) == []
    assert dispatcher.handle(Woken()) == [Take(4, 2)]
    assert dispatcher.handle(WorkersSeen(names(1))) == []  # the answer is awaited,
    assert dispatcher.handle(Taken([])) == [Take(2, 1)]  # and was about other workers
    assert dispatcher.handle(Taken([])) == []


@pytest.mark.parametrize(("nbytes", "most"), [(0, 8192), (1 << 20, 64), (32 << 20, 8)])
def test_a_saver_that_rests_is_told_to_commit_before_it_holds_all_that_may_be_open(
    nbytes: int, most: int
) -> None:
    """Or else the workers would wait until it has rested. Batches that the driver has the articles
    of are fewer, the larger they are."""
    dispatcher = started()
    owed, taken, drained = [Take(2, 1)], 0, list[int]()
    while owed and taken < 10_000:
        found: list[Instruction] = []
        for take in owed:
            found += dispatcher.handle(
                Taken(
                    [
                        Batch(BatchId(RUN, str(taken + i)), Rows((taken + i,), nbytes))
                        for i in range(take.most)
                    ]
                )
            )
            taken += take.most
        ended = [each for each in found if isinstance(each, Submit)]
        for each in ended:
            found += dispatcher.handle(Extracted(each.batch.id, each.task, []))
        drained += [taken for each in found if isinstance(each, Drain)]
        owed = [each for each in found if isinstance(each, Take)]
    assert drained
    assert most <= taken < most + 2
    assert most / 2 <= drained[0] <= most / 2 + 2
    assert len(drained) == 1


def test_what_batches_hold_in_memory_is_held_until_the_store_has_all_of_them() -> None:
    jobs = Jobs()
    whole = Batch(BatchId(RUN, "0"), Rows((1, 2, 3), 100))
    job = jobs.add(whole)
    jobs.add(Batch(BatchId(RUN, "1"), Rows((4,), 50)))
    assert jobs.mean_nbytes == 75
    parts = [jobs.add(part) for part in whole.parts(1)]
    jobs.stored(job, whole.wanted)
    assert jobs.mean_nbytes == 50
    for part, nbytes in zip(parts, (75, 50), strict=True):
        jobs.stored(part, part.batch.wanted)
        assert jobs.mean_nbytes == nbytes


def test_what_the_store_never_takes_is_cut_down_to_the_article_and_rejected() -> None:
    batch = rows(2)
    first, _ = batch.parts(1)
    dispatcher = started()
    dispatcher.handle(Taken([batch]))
    dispatcher.handle(Extracted(batch.id, 1, []))
    assert dispatcher.handle(Reported({}, invalid=(batch.id,)))[0] == CountRows(batch)
    split = dispatcher.handle(RowsCounted(batch.id, 2, 2, 1))
    assert split[0] == HandOver(batch.id, Split(1), 1)
    assert Submit(first, 2, "w0") in dispatcher.handle(Reported({batch.id: Split(1)}))
    told = dispatcher.handle(Reported({}, invalid=(first.id,)))  # before its task has ended
    assert CountRows(first) not in told
    assert dispatcher.handle(Extracted(first.id, 2, []))[0] == CountRows(first)
    [handed, *_] = dispatcher.handle(RowsCounted(first.id, 1, 1, 0))
    assert isinstance(handed, HandOver)
    assert isinstance(handed.entry, Counted)
    assert handed.entry.tally.failed == {0: NOT_TAKEN}
    assert handed.batch_id == first.id
