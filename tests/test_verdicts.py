"""What a batch is blamed for."""

from __future__ import annotations

from daskingest.ledger import BatchId
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.jobs import Job, Task
from daskingest.pipeline.verdicts import Verdict, judge
from daskingest.sources.csvrows import CsvRange

SOURCE = CsvRange(path="x", layout=None, start=0, end=100, row_count=10)  # type: ignore[arg-type]


def job(alone: bool = False) -> Job:
    return Job(Batch(BatchId("r", "0"), SOURCE), alone)


def task(controlled: bool = True, began: float | None = 1.0, overdue: float | None = None) -> Task:
    return Task(1, "w0", controlled, began, overdue)


def test_two_deaths_make_a_suspect_and_one_alone_is_its_own() -> None:
    each = job()
    assert judge(each, task(), explained=False) is Verdict.AGAIN
    assert judge(each, task(), explained=False) is Verdict.SUSPECT
    each = job(alone=True)
    assert judge(each, task(), explained=False) is Verdict.CUT
    assert each.tries.failures == 1


def test_one_that_takes_too_long_is_a_suspect_at_once() -> None:
    assert judge(job(), task(overdue=9.0), explained=False) is Verdict.SUSPECT
    assert judge(job(alone=True), task(overdue=9.0), explained=True) is Verdict.CUT


def test_one_whose_worker_was_kept_from_working_is_not_to_blame() -> None:
    hindered = task(overdue=9.0)
    hindered.hindered = True
    for each in (job(), job(alone=True)):
        assert judge(each, hindered, explained=False) is Verdict.AGAIN
        assert each.tries.failures == 0


def test_what_had_not_begun_or_is_explained_fails_nothing() -> None:
    each = job(alone=True)
    assert judge(each, task(began=None), explained=False) is Verdict.UNFIT
    assert judge(each, task(controlled=False, overdue=9.0), explained=False) is Verdict.UNFIT
    assert judge(each, task(began=None), explained=True) is Verdict.AGAIN
    assert judge(each, task(), explained=True) is Verdict.AGAIN
    assert not each.quiet
    assert judge(each, task(), explained=True) is Verdict.AGAIN
    assert each.quiet  # so that no other batch can be what explains the next one
    assert each.tries.failures == 0


def test_if_workers_always_die_with_it_it_is_tried_alone_in_the_end() -> None:
    each = job()
    for _ in range(7):
        assert judge(each, task(began=None), explained=False) is Verdict.AGAIN
    assert judge(each, task(), explained=True) is Verdict.SUSPECT
