"""Jobs: batches on their way into the store, and their states."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum

from daskingest.articles import Reject
from daskingest.ledger import BatchId
from daskingest.pipeline.batch import Batch


class State(Enum):
    """Where a batch is on its way into the store."""

    WAITING = "to be submitted"
    RUNNING = "with a worker"
    HANDED = "with the saver"
    MEASURED = "its rows are counted, to cut it"
    STORED = "in the store, before its task has ended"


LACKING = tuple(state for state in State if state is not State.STORED)
"""The states of a batch that the store does not have, as far as is known."""


@dataclass(slots=True)
class Job:
    """A batch on its way. A suspect is tried `alone`: no other task runs then."""

    batch: Batch
    alone: bool = False
    state: State = State.WAITING
    saver: int | None = None  # the saver that gets its counts
    deaths: int = 0
    errors: int = 0
    unreached: int = 0
    refused: bool = False  # by the store, as too large
    cut_for: str = ""
    rejects: list[Reject] | None = None


class Jobs:
    """All jobs by id, with their number in each state and the order in which they wait."""

    def __init__(self) -> None:
        self._jobs: dict[BatchId, Job] = {}
        self._count: Counter[State] = Counter()
        self._queue: deque[Job] = deque()
        self._suspects: dict[BatchId, Job] = {}
        self._parts: Counter[BatchId] = Counter()  # of each whole batch, parts not in the store yet

    def __getitem__(self, state: State) -> int:
        return self._count[state]

    @property
    def open(self) -> int:
        """How many batches the store does not have, as far as is known."""
        return len(self._jobs) - self._count[State.STORED]

    @property
    def in_flight(self) -> int:
        """How many tasks the workers have."""
        return self._count[State.RUNNING] + self._count[State.STORED]

    @property
    def suspected(self) -> bool:
        """Whether there is a suspect to be tried alone."""
        return bool(self._suspects)

    def has(self, batch_id: BatchId) -> bool:
        """Whether the store lacks the whole batch, or one of its parts."""
        return batch_id.whole in self._parts

    @property
    def runs(self) -> frozenset[str]:
        """The runs of all jobs."""
        return frozenset(batch_id.run for batch_id in self._jobs)

    def add(self, batch: Batch, alone: bool = False) -> None:
        """Queue a batch, unless there is a job for it already."""
        if batch.id not in self._jobs:
            job = self._jobs[batch.id] = Job(batch, alone)
            self._parts[batch.id.whole] += 1
            self._count[job.state] += 1
            self._enqueue(job)

    def find(self, batch_id: BatchId, *states: State) -> Job | None:
        """The job of the batch with this id, if it is in one of these states."""
        job = self._jobs.get(batch_id)
        return job if job is not None and job.state in states else None

    def move(self, job: Job, state: State) -> None:
        """Change a job's state."""
        self._count[job.state] -= 1
        self._count[state] += 1
        job.state = state
        if state is State.WAITING:
            self._enqueue(job)

    def clear(self, job: Job) -> None:
        """Note that it is not a suspect any more."""
        job.alone = False
        self._suspects.pop(job.batch.id, None)

    def stored(self, job: Job) -> bool:
        """Note that the store has it. Returns whether it has all of the whole batch."""
        self.clear(job)
        whole = job.batch.id.whole
        self._parts[whole] -= 1
        if job.state is State.RUNNING:
            self.move(job, State.STORED)
        else:
            self.remove(job)
        if self._parts[whole]:
            return False
        del self._parts[whole]
        return True

    def remove(self, job: Job) -> None:
        """Remove a job whose batch is in the store."""
        self._count[job.state] -= 1
        del self._jobs[job.batch.id]

    def next(self) -> Job | None:
        """The job to submit next. Suspects come first, one at a time."""
        if self._suspects:
            suspects = (job for job in self._suspects.values() if job.state is State.WAITING)
            return None if self.in_flight else next(suspects, None)
        while self._queue:
            job = self._queue.popleft()
            # A job whose batch was committed after all may still be in the queue.
            if job is self._jobs.get(job.batch.id):
                return job
        return None

    def all(self) -> list[Job]:
        """The jobs whose batches the store does not have."""
        return [job for job in self._jobs.values() if job.state is not State.STORED]

    def _enqueue(self, job: Job) -> None:
        if job.alone:
            self._suspects[job.batch.id] = job
        else:
            self._queue.append(job)
