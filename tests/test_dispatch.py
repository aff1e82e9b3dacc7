"""The driver's decisions, in every order of deaths, losses and late news that hypothesis finds.

The world around the dispatcher is made here: workers that die, savers that are lost, a store that
has a ledger. The saver's own parts are the real ones. Whatever happens, each row must end in the
store or among the rejects, once.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from daskingest.articles import Article, Reject
from daskingest.counts import Counts, Tally
from daskingest.ledger import BatchId, Counted, Entry, Ledger, Split
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.commit import commit
from daskingest.pipeline.dispatch import KILLED_WORKER, TASKS_PER_WORKER, Dispatcher
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
from daskingest.pipeline.pending import Commit, Flush, News, Pending
from daskingest.stores import AlreadyCommitted, TooLarge

RUN = "r"
AT_ONCE = settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""A failure is told as it was found: making it smaller takes minutes, and the tests below that go
one step at a time tell most of it as well."""

MOST_ROWS = 8  # that fit one commit of the store


@dataclass(frozen=True)
class Rows:
    """Rows with numbers, as articles; a worker that reads one of the `deadly` ones dies."""

    numbers: tuple[int, ...]

    @property
    def size(self) -> int:
        return len(self.numbers)

    def rows(self) -> Iterator[Article | Reject]:
        return (Article(str(number), "p") for number in self.numbers)


def numbers_of(batch: Batch) -> list[str]:
    return [row.content for row in batch.rows() if isinstance(row, Article)]


def counts_of(numbers: list[str]) -> Counts:
    counts = Counts()
    for number in numbers:
        counts.add_article("p", [(number, "ROW")])
    return counts


class Store:
    """A store in memory, as strict as the real ones: all of a commit or nothing."""

    def __init__(self) -> None:
        self.entries: Ledger = {}
        self.rows: Counter[str] = Counter()

    def commit(self, counts: Counts, entries: dict[BatchId, Entry]) -> int:
        if entries.keys() & self.entries.keys():
            raise AlreadyCommitted
        words = [each.words for each in counts.publications.values()]
        if sum(map(len, words)) > MOST_ROWS:
            raise TooLarge
        self.entries |= entries
        for (number, _), count in itertools.chain(*(each.items() for each in words)):
            self.rows[number] += count
        return 0

    def ledger_entries(self, batch_ids: list[BatchId]) -> Ledger:
        return {each: self.entries[each] for each in batch_ids if each in self.entries}


@dataclass
class Saver:
    """A saver without its event loop: the parts that decide are the real ones."""

    number: int
    pending: Pending = field(default_factory=Pending)
    news: News = field(default_factory=News)
    cursor: int = 0
    alive: bool = True
    """The driver and the workers reach it."""
    running: bool = True
    """It commits, perhaps though it was given up."""

    def add(self, batch_id: BatchId, counts: Counts, entry: Entry) -> None:
        if batch_id not in self.pending:
            self.pending.add(batch_id, counts, entry, limit=6, now=0.0)

    def flush(self, store: Store) -> None:
        flush: Flush | None = self.pending.first
        if flush is not None:
            flush.closed = True
            done = commit(flush, store)  # type: ignore[arg-type]
            self.news.add(done.entries, Commit(0.0, done.writes))
            self.pending.remove_first()


class World:
    """Carries out instructions, whenever and however `choose` wants it."""

    def __init__(self, plan: Plan, choose: st.DataObject) -> None:
        self.plan = plan
        self.choose = choose
        self.store = Store()
        self.finished: Counter[BatchId] = Counter()
        self.last: Counter[BatchId] = Counter()
        self.end: End | Fail | None = None
        self.troubles = plan.troubles

    def run(self, stop_after: int | None = None) -> None:
        """One driver's run, from start to end."""
        self.finished.clear()
        self.last.clear()
        self.end = None
        self.batches = iter(self.plan.batches())
        self.tasks: dict[BatchId, tuple[Batch, Saver]] = {}
        self.ends: list[Event] = []  # of tasks, that the driver does not know of yet
        self.owed: list[Take | CountRows | HandOver | Drain | StartSaver] = []
        self.savers = [Saver(1)]
        self.workers = self.plan.workers
        self.dispatcher = Dispatcher(dict(self.store.entries), 1, self.workers)
        self.obey(self.dispatcher.begin())
        for step in itertools.count():
            if self.end is not None:
                return
            assert step < 2_000, "it never ends"
            self.step()
            if step == stop_after:
                self.tell(StopAsked())

    def step(self) -> None:
        """Let something happen: what is owed, or trouble."""
        saver = self.savers[-1]
        can = [
            *("owed" for _ in self.owed),
            *("task" for _ in self.tasks),
            *("end" for _ in self.ends),
            *("flush" for each in self.savers if each.running and each.pending.first),
            *(["report"] if saver.alive and saver.news else []),
        ]
        assert can, f"it waits for nothing: {self.dispatcher!r}"
        if self.troubles > 0:
            can += ["lose", "late", "workers"]
        what = self.choose.draw(st.sampled_from(can))
        self.troubles -= what in ("lose", "late", "workers")
        match what:
            case "owed":
                at = self.choose.draw(st.integers(0, len(self.owed) - 1))
                self.pay(self.owed.pop(at))
            case "task":
                task = self.choose.draw(st.sampled_from(sorted(self.tasks)))
                self.ends.append(self.end_of(*self.tasks.pop(task)))
            case "end":
                self.tell(self.ends.pop(self.choose.draw(st.integers(0, len(self.ends) - 1))))
            case "flush":
                full = [each for each in self.savers if each.running and each.pending.first]
                self.choose.draw(st.sampled_from(full)).flush(self.store)
            case "report":
                self.report(saver, repeat=False)
            case "lose" if saver.alive:
                saver.alive = False
                saver.running = self.choose.draw(st.booleans())
                self.tell(SaverGone(saver.number))
            case "late":
                self.report(self.choose.draw(st.sampled_from(self.savers)), repeat=True)
                self.tell(Woken())
            case "workers":
                self.workers = self.choose.draw(st.integers(0, 3))
                self.tell(WorkersSeen(self.workers))

    def report(self, saver: Saver, repeat: bool) -> None:
        """News, or news reported before: a report may come twice, and late."""
        saver.news.acknowledge(saver.cursor)
        report = saver.news.report("")
        if not repeat:
            saver.cursor = report.next
        self.tell(Reported(report.committed, report.refused))

    def end_of(self, batch: Batch, saver: Saver) -> Event:
        """What becomes of a task."""
        numbers = numbers_of(batch)
        kind = "extracted"
        if self.plan.deadly & set(numbers):
            kind = "died"
        elif self.troubles > 0:
            kind = self.choose.draw(st.sampled_from(["extracted", "died", "failed", "handed"]))
            self.troubles -= kind != "extracted"
        if kind == "died":
            return WorkerDied(batch.id)
        if kind == "failed":
            return TaskFailed(batch.id, ValueError("now and then"))
        if not saver.alive:
            return SaverUnreached(batch.id, "gone")
        tally = Tally(rows=len(numbers), articles=len(numbers))
        saver.add(batch.id, counts_of(numbers), Counted(tally))
        # The worker may die after it has handed over its counts, before it has told the driver.
        return WorkerDied(batch.id) if kind == "handed" else Extracted(batch.id, [])

    def pay(self, owed: Take | CountRows | HandOver | Drain | StartSaver) -> None:
        match owed:
            case Take(most, _):
                self.take(most)
            case CountRows(batch):
                self.tell(RowsCounted(batch.id, batch.count_rows()))
            case HandOver(batch_id, entry, number):
                saver = self.savers[number - 1]
                if saver.alive:
                    saver.add(batch_id, Counts(), entry)
                else:
                    self.tell(NotHandedOver(batch_id, number))
            case Drain(number):
                saver = self.savers[number - 1]
                while saver.alive and saver.pending.first:
                    saver.flush(self.store)
                if saver.alive:
                    self.report(saver, repeat=False)
            case StartSaver(runs):
                self.savers.append(Saver(len(self.savers) + 1))
                entries = {each: e for each, e in self.store.entries.items() if each.run in runs}
                self.tell(SaverStarted(self.savers[-1].number, entries))

    def take(self, most: int) -> None:
        """What the source returns: perhaps none yet; then it wakes the driver later."""
        if self.troubles > 0 and self.choose.draw(st.booleans()):
            self.troubles -= 1
            self.tell(Taken([]))
            self.tell(Woken())
            return
        self.tell(Taken(list(itertools.islice(self.batches, most)) or None))

    def tell(self, event: Event) -> None:
        self.obey(self.dispatcher.handle(event))

    def obey(self, instructions: list[Instruction]) -> None:
        for each in instructions:
            assert self.end is None, "an instruction after the end"
            match each:
                case Submit(batch):
                    assert batch.id not in self.tasks, "two tasks of one batch"
                    allowed = TASKS_PER_WORKER * max(1, self.workers)
                    assert len(self.tasks) + len(self.ends) < allowed, "too many in flight"
                    self.tasks[batch.id] = batch, self.savers[-1]
                case Finished():
                    self.note(each)
                case End() | Fail():
                    self.end = each
                case _:
                    self.owed.append(each)

    def note(self, finished: Finished) -> None:
        batch_id = finished.batch.id
        assert isinstance(self.store.entries.get(batch_id), Counted), (
            "reported before it was stored"
        )
        self.finished[batch_id] += 1
        self.last[batch_id.whole] += finished.last
        assert self.finished[batch_id] == 1, "reported twice"
        assert self.last[batch_id.whole] <= 1, "the last part twice"


@dataclass(frozen=True)
class Plan:
    """Numbers of rows of the batches, which rows are deadly, and how much may go wrong."""

    sizes: list[int]
    deadly: frozenset[str]
    workers: int
    troubles: int
    limit: int | None = None

    def batches(self) -> Iterator[Batch]:
        first = 0
        for place, size in enumerate(self.sizes):
            batch = Batch(BatchId(RUN, str(place)), Rows(tuple(range(first, first + size))))
            first += size
            if self.limit is not None and first > self.limit:
                left = self.limit - (first - size)
                if left > 0:
                    yield Batch(batch.id, batch.source, only=left)
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
    workers, troubles = draw(st.integers(1, 3)), draw(st.integers(0, 12))
    return Plan(sizes, frozenset(deadly), workers, troubles)


def check(world: World, plan: Plan) -> None:
    """Each row is in the store once, or it is a reject, and only what is deadly is."""
    rejected: Counter[str] = Counter()
    for batch in plan.batches():
        rejected.update(rejects_of(batch, world.store.entries))
    assert world.store.rows + rejected == Counter(plan.numbers)
    assert set(rejected) <= plan.deadly or plan.troubles >= 5


def rejects_of(batch: Batch, entries: Ledger) -> Iterator[str]:
    """The numbers of a batch's rows that were rejected."""
    match entries[batch.id]:
        case Split(at):
            for part in batch.parts(at):
                yield from rejects_of(part, entries)
        case Counted(tally):
            numbers = numbers_of(batch)
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
    assert {each.whole for each in world.finished} == wholes == set(+world.last)


@AT_ONCE
@given(plans(), st.data(), st.lists(st.integers(1, 30), max_size=3), st.integers(1, 40))
def test_a_run_that_was_stopped_or_limited_goes_on(
    plan: Plan, data: st.DataObject, stops: list[int], limit: int
) -> None:
    """Each run has a driver of its own; only the store is the same."""
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


def started(workers: int = 1, ledger: Ledger | None = None) -> Dispatcher:
    """A dispatcher that has just asked its source."""
    dispatcher = Dispatcher(ledger or {}, 1, workers)
    assert dispatcher.begin() == [Take(TASKS_PER_WORKER * workers, workers)]
    return dispatcher


def counted(number: int = 1) -> Counted:
    return Counted(Tally(rows=number, articles=number))


def test_a_batch_s_way_into_the_store() -> None:
    batch = rows(3)
    dispatcher = started()
    assert dispatcher.handle(Taken([batch])) == [Submit(batch), Take(1, 0)]
    assert dispatcher.handle(Taken(None)) == []
    assert dispatcher.handle(Extracted(batch.id, [])) == [Drain(1)]
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
    assert submitted == [Submit(each) for each in batches[:4]]
    assert dispatcher.handle(Extracted(batches[0].id, []))[0] == Submit(batches[4])
    assert dispatcher.in_flight == 4


def test_what_a_lost_saver_had_not_committed_is_extracted_again() -> None:
    first, second = rows(1), rows(1, 1, 1)
    dispatcher = started()
    dispatcher.handle(Taken([first, second]))
    dispatcher.handle(Extracted(first.id, []))
    dispatcher.handle(Taken(None))
    dispatcher.handle(Extracted(second.id, []))
    assert dispatcher.handle(SaverGone(1)) == [StartSaver(frozenset({RUN}))]
    entry = counted()
    assert dispatcher.handle(SaverStarted(2, {first.id: entry})) == [
        Finished(first, entry.tally, [], fresh=True, last=True),
        Submit(second),
    ]
    assert dispatcher.handle(SaverGone(1)) == []
    assert dispatcher.handle(Extracted(second.id, [])) == [Drain(2)]


def test_nothing_is_submitted_while_there_is_no_saver() -> None:
    batch = rows(1)
    dispatcher = started()
    dispatcher.handle(SaverGone(1))
    assert dispatcher.handle(Taken([batch])) == []
    assert dispatcher.handle(SaverStarted(2, {})) == [Submit(batch), Take(1, 0)]


def test_what_kills_its_worker_is_tried_alone_and_rejected() -> None:
    batch, other = rows(1), rows(1, 1, 1)
    dispatcher = started()
    dispatcher.handle(Taken([batch, other]))
    assert dispatcher.handle(WorkerDied(batch.id)) == [Submit(batch)]
    assert dispatcher.handle(WorkerDied(batch.id)) == []  # not while another is with a worker
    assert dispatcher.handle(Extracted(other.id, [])) == [Submit(batch)]
    for _ in range(2):
        assert dispatcher.handle(WorkerDied(batch.id)) == [CountRows(batch)]
        assert dispatcher.handle(RowsCounted(batch.id, 1)) == [Submit(batch)]
    dispatcher.handle(WorkerDied(batch.id))
    [over] = dispatcher.handle(RowsCounted(batch.id, 1))
    tally = Tally(rows=1)
    tally.reject(0, KILLED_WORKER)
    assert over == HandOver(batch.id, Counted(tally), 1)
    assert dispatcher.handle(NotHandedOver(batch.id, 1)) == [Submit(batch)]


def test_what_is_too_large_for_a_commit_is_cut_in_two() -> None:
    batch = rows(3)
    dispatcher = started()
    dispatcher.handle(Taken([batch]))
    dispatcher.handle(Taken(None))
    dispatcher.handle(Extracted(batch.id, []))
    assert dispatcher.handle(Reported({}, (batch.id,))) == [CountRows(batch)]
    assert dispatcher.handle(RowsCounted(batch.id, 3)) == [
        HandOver(batch.id, Split(1), 1),
        Drain(1),
    ]
    head, tail = batch.parts(1)
    assert dispatcher.handle(Reported({batch.id: Split(1)})) == [Submit(head), Submit(tail)]
    dispatcher.handle(Extracted(head.id, []))
    dispatcher.handle(Extracted(tail.id, []))
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
        Submit(tail),
        Take(1, 0),
    ]


def test_a_task_that_fails_three_times_ends_the_run() -> None:
    batch = rows(1)
    dispatcher = started()
    dispatcher.handle(Taken([batch]))
    for _ in range(2):
        assert dispatcher.handle(TaskFailed(batch.id, ValueError("no")))[0] == Submit(batch)
    [fail] = dispatcher.handle(TaskFailed(batch.id, ValueError("no")))
    assert isinstance(fail, Fail)
    assert str(fail.error) == "a batch could not be counted: ValueError: no"


def test_stopping_waits_for_what_is_in_flight_alone() -> None:
    first, second, third = (rows(1, place, place) for place in range(3))
    dispatcher = started()
    dispatcher.handle(Taken([first, second, third]))
    assert dispatcher.handle(StopAsked()) == []
    dispatcher.handle(Extracted(first.id, []))
    assert dispatcher.handle(WorkerDied(second.id)) == [Drain(1)]
    assert dispatcher.handle(Reported({first.id: counted()}))[-1] == End(complete=False)


def test_an_empty_source_is_asked_again_when_something_has_changed() -> None:
    dispatcher = started(workers=2)
    assert dispatcher.handle(Taken([])) == []
    assert dispatcher.handle(Woken()) == [Take(4, 2)]
    assert dispatcher.handle(WorkersSeen(1)) == []  # the answer is awaited,
    assert dispatcher.handle(Taken([])) == [Take(2, 1)]  # and was about other workers
    assert dispatcher.handle(Taken([])) == []
