"""What the dispatcher does about an event does not grow with the batches and workers there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import counting
import pytest

from daskingest.articles import Article, Reject
from daskingest.ledger import BatchId, Counted
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.deadlines import TimeLimit
from daskingest.pipeline.dispatch import Dispatcher
from daskingest.pipeline.events import (
    Event,
    Extracted,
    Instruction,
    Reported,
    Submit,
    Taken,
    TaskBegun,
    Tick,
    Woken,
    WorkerDied,
)
from daskingest.tally import Tally


@dataclass(frozen=True)
class NoRows:
    size: int = 100
    nbytes: int = 0

    def rows(self) -> Iterator[Article | Reject]:
        return iter(())


class Traced:
    """A dispatcher with so many workers and open batches, and the steps that its events take."""

    def __init__(self, workers: int, batches: int) -> None:
        names = [f"tcp://host:{number:05}" for number in range(workers)]
        self._dispatcher = Dispatcher({}, [1], names, TimeLimit(60.0))
        self._dispatcher.begin()
        # Half of them are handed to the saver, the others wait.
        ids = [BatchId("run", f"{number:06}") for number in range(2 * batches)]
        submitted = self._submitted([Taken([Batch(each, NoRows()) for each in ids])])
        for _ in range(batches):
            task = submitted.pop(0)
            submitted += self._submitted([TaskBegun(*task), Extracted(*task, [])])
            self.handed = task[0]
        self.running = submitted

    def _submitted(self, events: list[Event]) -> list[tuple[BatchId, int]]:
        instructions = [each for event in events for each in self._dispatcher.handle(event)]
        return [(each.batch.id, each.task) for each in instructions if isinstance(each, Submit)]

    def steps(self, event: Event) -> tuple[int, list[Instruction]]:
        """How many lines are run for an event, and what is to be done about it."""
        instructions: list[Instruction] = []
        lines = counting.steps(lambda: instructions.extend(self._dispatcher.handle(event)))
        return lines, instructions


def steps_of_each(workers: int, batches: int) -> dict[str, int]:
    traced = Traced(workers, batches)
    first, second, third = traced.running[:3]
    events: list[Event] = [
        TaskBegun(*first),
        Extracted(*first, []),
        Woken(),
        Reported({traced.handed: Counted(Tally(rows=0))}, (), ()),
        WorkerDied(*second),
        WorkerDied(*third, explained=True),
    ]
    found = {}
    for number, event in enumerate(events):
        lines, _ = traced.steps(event)
        found[f"{number} {type(event).__name__}"] = lines
    return found


@pytest.mark.parametrize("workers", [4, 40])
def test_an_event_s_steps_do_not_grow_with_the_batches(workers: int) -> None:
    few, many = steps_of_each(workers, 100), steps_of_each(workers, 5_000)
    assert few.keys() == many.keys()
    for event, steps in many.items():
        assert steps <= few[event] + 30, (event, steps, few[event])


def test_an_event_s_steps_hardly_grow_with_the_workers() -> None:
    few, many = steps_of_each(4, 2_000), steps_of_each(512, 2_000)
    for event, steps in many.items():
        assert steps <= few[event] + 60, (event, steps, few[event])


def test_a_look_at_the_clock_looks_at_what_the_workers_have() -> None:
    few, many = (Traced(4, batches).steps(Tick(1.0))[0] for batches in (100, 5_000))
    assert many <= few + 10
