"""How many batches a second the driver takes through a cluster, when a batch is no work at all."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from daskingest.articles import Article, Reject
from daskingest.ledger import BatchId, Counted
from daskingest.models import find_model
from daskingest.pipeline.batch import Batch, ListedBatches
from daskingest.pipeline.cluster import cluster
from daskingest.pipeline.deadlines import TimeLimit
from daskingest.pipeline.dispatch import Dispatcher
from daskingest.pipeline.driver import Observer, open_driver
from daskingest.pipeline.events import (
    End,
    Event,
    Extracted,
    Instruction,
    Reported,
    Submit,
    Take,
    Taken,
    TaskBegun,
)
from daskingest.pipeline.savers import Work
from daskingest.tally import Tally

_RUN = "benchmark"
_REPORTED = 64  # batches that the store gets at once


@dataclass(frozen=True, slots=True)
class _NoRows:
    size: int = 0
    nbytes: int = 0

    def rows(self) -> Iterator[Article | Reject]:
        return iter(())


def _batches(number: int) -> Iterator[Batch]:
    return (Batch(BatchId(_RUN, f"{each:07}"), _NoRows()) for each in range(number))


def driver_tasks_per_second(workers: int | None = None, tasks: int = 2_000) -> float:
    """Empty batches a second, from the driver through a local cluster's workers into a store."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(drive(workers, tasks))


async def drive(workers: int | None, tasks: int, scheduler: str | None = None) -> float:
    """The same with the cluster at an address, if there is one."""
    model = find_model()
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder).absolute() / 'benchmark.db'}"
        work = Work(model, store, flush_interval=1.0, batch_timeout=60.0)
        async with (
            cluster(scheduler, workers, model) as client,
            open_driver(client, work, Observer()) as driver,
        ):
            ledger = await driver.take_over(_RUN)
            started = time.perf_counter()
            await driver.run(ListedBatches(_batches(tasks)), ledger)
            return tasks / (time.perf_counter() - started)


def dispatcher_tasks_per_second(workers: int = 1_000, tasks: int = 20_000) -> float:
    """Batches a second that are decided about, with so many workers: the driver without Dask."""
    names = [f"tcp://127.0.0.1:{number}" for number in range(10_000, 10_000 + workers)]
    dispatcher, source = Dispatcher({}, [1], names, TimeLimit(60.0)), _batches(tasks)
    running: deque[Submit] = deque()
    handed: dict[BatchId, Counted] = {}
    done = Counted(Tally())

    def take(instructions: list[Instruction]) -> bool:
        for each in instructions:
            if isinstance(each, End):
                return True
            if isinstance(each, Submit):
                running.append(each)
            elif isinstance(each, Take):
                taken = list(itertools.islice(source, each.most)) or None
                if take(dispatcher.handle(Taken(taken))):
                    return True
        return False

    started = time.perf_counter()
    ended = take(dispatcher.begin())
    while not ended:
        events: list[Event] = []
        if running:
            task = running.popleft()
            handed[task.batch.id] = done
            events += [TaskBegun(task.batch.id, task.task), Extracted(task.batch.id, task.task, [])]
        if len(handed) >= _REPORTED or not running:
            events.append(Reported(dict(handed), (), ()))
            handed.clear()
        for each in events:
            ended = ended or take(dispatcher.handle(each))
    return tasks / (time.perf_counter() - started)
