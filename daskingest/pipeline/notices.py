"""What a task tells the driver while it runs; see `actors.py` for the rest of Dask's internals."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass
from typing import Any

from distributed import get_worker
from distributed.utils import sync

from daskingest.ledger import BatchId
from daskingest.pipeline.events import ControlPassed, TaskBegun

_MOST_BYTES = 64 << 10
"""Of a result that is told: the scheduler keeps the last one."""


@dataclass(frozen=True, slots=True)
class Notices:
    """A task's way to its driver, which listens to the topic."""

    topic: str
    batch_id: BatchId
    task: int

    def begun(self) -> None:
        """The task begins. Like the next one it returns when the scheduler knows.

        What comes then may keep the worker from telling anything.
        """
        self._tell(passed=False)

    def control_passed(self) -> None:
        """The worker has extracted a harmless text."""
        self._tell(passed=True)

    def result(self, result: object) -> None:
        """What the task is going to return, if it is small.

        It arrives before the news that the task has ended, and saves the driver fetching it.
        """
        data = pickle.dumps(result)
        if len(data) <= _MOST_BYTES:
            get_worker().log_event(self.topic, (str(self.batch_id), self.task, data))

    def _tell(self, passed: bool) -> None:
        worker: Any = get_worker()
        message = (str(self.batch_id), self.task, (passed, time.process_time()))

        async def tell() -> None:
            await worker.scheduler.log_event(topic=self.topic, msg=message)

        sync(worker.loop, tell)


def event_of(batch_id: str, task: int, told: tuple[bool, float]) -> TaskBegun | ControlPassed:
    """What a task has told."""
    passed, used = told
    kind = ControlPassed if passed else TaskBegun
    return kind(BatchId.parse(batch_id), task, used)
