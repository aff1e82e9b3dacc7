"""Jobs: batches on their way into the store, and their states."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from heapq import heappop, heappush

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
class Task:
    """A batch's task on a worker, by a number of its own. Times are those of the dispatcher."""

    number: int
    worker: str
    controlled: bool
    """Whether nothing is known against the worker: where a suspect is tried, not until it has
    extracted a harmless text."""
    began: float | None = None
    overdue: float | None = None
    """When it had taken longer than it may; its worker is being killed since."""
    kills: int = 0
    used_before: float = 0.0
    used: float = 0.0  # of the processor, since then, in seconds
    looked: float | None = None  # when its worker was last to be looked at
    hindered: bool = False  # when that was last answered

    @property
    def to_blame(self) -> bool:
        """Whether the worker has begun with the batch itself."""
        return self.began is not None and self.controlled

    @property
    def too_long(self) -> bool:
        """Whether its worker is ended for what the task took, and not for what keeps it waiting."""
        return self.overdue is not None and not self.hindered


@dataclass(slots=True)
class Tries:
    """What went wrong with a batch so far."""

    errors: int = 0
    unreached: int = 0
    failures: int = 0  # workers that died of it, or took too long: maybe of it, if it wasn't alone
    explained: int = 0  # workers that died with it for another reason
    unbegun: int = 0  # workers that died before they began with it


@dataclass(slots=True)
class Job:
    """A batch on its way. One that is tried `alone` has a worker to itself, being a suspect.

    One that is tried in `quiet` has all workers to itself. A batch that is in several shards wants
    those of them that the store lacks, but for what has come to be a job of its own.
    """

    batch: Batch
    alone: bool = False
    state: State = State.WAITING
    savers: tuple[int | None, ...] = ()  # in each place, the one that its counts are handed to
    task: Task | None = None
    tries: Tries = field(default_factory=Tries)
    quiet: bool = False
    refused: str = ""  # why, if the store does not take it
    cut_for: str = ""
    measured: int | None = None  # bytes of its texts
    rejects: list[Reject] | None = None  # of a batch in shards they are read again

    @property
    def size(self) -> int:
        """Its bytes, as far as they are known."""
        return self.batch.size if self.measured is None else self.measured

    @property
    def handed_bytes(self) -> int:
        """About how many of its source's bytes the savers have."""
        return self.batch.share if self.state is State.HANDED else 0


class Jobs:
    """All jobs by id, with their number in each state and the order in which they wait.

    There may be many thousands: only `all` and `runs` look at each, for the loss of a saver, which
    concerns all of them.
    """

    def __init__(self) -> None:
        self._jobs: dict[BatchId, Job] = {}
        self._count: Counter[State] = Counter()
        self._queue: deque[Job] = deque()
        self._running: dict[BatchId, Job] = {}
        self._suspects: dict[BatchId, int] = {}  # numbered in the order in which they are tried
        self._suspected = 0
        self._waiting: list[tuple[int, BatchId]] = []  # a heap of suspects; some wait no more
        self._tried: set[BatchId] = set()  # suspects that are with a worker
        self._quiet: set[BatchId] = set()
        self._parts: Counter[BatchId] = Counter()  # of each batch as given, what the store lacks
        self._nbytes = 0
        self.handed_bytes = 0
        """About how many bytes of sources the savers have, which the store lacks."""

    def __getitem__(self, state: State) -> int:
        return self._count[state]

    @property
    def open(self) -> int:
        """How many batches the store does not have, as far as is known."""
        return len(self._jobs) - self._count[State.STORED]

    @property
    def mean_nbytes(self) -> float:
        """The bytes of memory that the source of an open one takes here, on average."""
        return self._nbytes / max(1, self.open)

    @property
    def in_flight(self) -> int:
        """How many tasks the workers have."""
        return self._count[State.RUNNING] + self._count[State.STORED]

    @property
    def running(self) -> Collection[Job]:
        """Those whose tasks are with the workers."""
        return self._running.values()

    def has(self, batch_id: BatchId) -> bool:
        """Whether the store lacks something of the batch as its source gave it."""
        return batch_id.given in self._parts

    @property
    def runs(self) -> frozenset[str]:
        """The runs of all jobs, as they are without shards."""
        return frozenset(batch_id.given.run for batch_id in self._jobs)

    def add(self, batch: Batch, alone: bool = False) -> Job:
        """Queue a batch, unless there is a job for it already."""
        job = self._jobs.get(batch.id)
        if job is None:
            job = self._jobs[batch.id] = Job(batch, alone)
            if batch.id.given not in self._parts:
                self._nbytes += batch.source.nbytes
            self._parts[batch.id.given] += len(batch.wanted)
            self._count[job.state] += 1
            self._enqueue(job)
        return job

    def find(self, batch_id: BatchId, *states: State) -> Job | None:
        """The job of the batch with this id, if it is in one of these states."""
        job = self._jobs.get(batch_id)
        return job if job is not None and job.state in states else None

    def lacking(self, batch_id: BatchId) -> Job | None:
        """The job by which the store gets what it has under this id, and lacks, as is known."""
        found = self.find(batch_id, *LACKING)
        if found is None and (shared := self.find(batch_id.given, *LACKING)) is not None:
            mine = not batch_id.parts and batch_id.shard in shared.batch.wanted
            found = shared if mine and shared.batch.is_shared else None
        return found

    def move(self, job: Job, state: State) -> None:
        """Change a job's state."""
        self._count[job.state] -= 1
        self._count[state] += 1
        self.handed_bytes -= job.handed_bytes
        job.state = state
        self.handed_bytes += job.handed_bytes
        if job.quiet:
            self._quiet.add(job.batch.id)
        if state is State.WAITING:
            self._enqueue(job)

    def begin(self, job: Job, task: Task) -> None:
        """A worker is given the job as a task."""
        job.task = task
        self._running[job.batch.id] = job
        if job.alone:
            self._tried.add(job.batch.id)
        self.move(job, State.RUNNING)

    def end(self, job: Job) -> None:
        """The job's task is with no worker any more."""
        job.task = None
        del self._running[job.batch.id]
        self._tried.discard(job.batch.id)

    def suspect(self, job: Job) -> None:
        """From now on it is tried alone."""
        job.alone = True
        job.tries = Tries()

    def clear(self, job: Job) -> None:
        """It is no suspect any more."""
        job.alone = job.quiet = False
        self._suspects.pop(job.batch.id, None)
        self._tried.discard(job.batch.id)
        self._quiet.discard(job.batch.id)

    def take_apart(self, job: Job, shards: Collection[int], alone: bool = False) -> list[Job]:
        """Make what a shared batch lacks in these shards jobs of their own, which wait."""
        found = []
        for shard in shards:
            found.append(self.add(job.batch.of_shard(shard), alone))
            self.stored(job, [shard])
        return found

    def take_back(self, job: Job, lost: Collection[int]) -> None:
        """What was handed over is lost in these shards."""
        if len(lost) == len(job.batch.wanted):
            self.move(job, State.WAITING)
        elif lost:
            self.take_apart(job, lost)

    def stored(self, job: Job, shards: Collection[int]) -> bool:
        """Note that the store has it in these shards. Returns whether it has all of the batch."""
        given = job.batch.id.given
        self._parts[given] -= len(shards)
        left = tuple(each for each in job.batch.wanted if each not in shards)
        if left:
            self.handed_bytes -= job.handed_bytes
            job.batch = replace(job.batch, wanted=left)
            self.handed_bytes += job.handed_bytes
        else:
            self._end_of(job)
        if self._parts[given]:
            return False
        del self._parts[given]
        self._nbytes -= job.batch.source.nbytes
        return True

    def _end_of(self, job: Job) -> None:
        """There is nothing more to do for it, or only to hear of its task's end."""
        self.clear(job)
        if job.task is not None:
            self.move(job, State.STORED)
        else:
            self.remove(job)

    def remove(self, job: Job) -> None:
        """Remove a job whose batch is in the store."""
        self._count[job.state] -= 1
        self.handed_bytes -= job.handed_bytes
        del self._jobs[job.batch.id]

    def next(self) -> Job | None:
        """The one to be submitted next that is no suspect."""
        while self._queue:
            job = self._queue.popleft()
            # A job whose batch was committed after all may still be in the queue.
            if job is self.find(job.batch.id, State.WAITING):
                return job
        return None

    def suspect_to_try(self) -> Job | None:
        """The suspect that is to be tried next: none while another one is."""
        while self._waiting and not self._tried:
            number, batch_id = self._waiting[0]
            job = self.find(batch_id, State.WAITING)
            if job is not None and self._suspects.get(batch_id) == number:
                return job
            heappop(self._waiting)
        return None

    @property
    def quiet(self) -> bool:
        """Whether one is to have all workers to itself."""
        return bool(self._quiet)

    def all(self) -> list[Job]:
        """The jobs whose batches the store does not have."""
        return [job for job in self._jobs.values() if job.state is not State.STORED]

    def handed(self) -> Iterator[Job]:
        """Those whose counts the savers have, one after the other, while none is changed."""
        return (job for job in self._jobs.values() if job.state is State.HANDED)

    def _enqueue(self, job: Job) -> None:
        if job.alone:
            self._suspected += 1
            number = self._suspects.setdefault(job.batch.id, self._suspected)
            heappush(self._waiting, (number, job.batch.id))
        else:
            self._queue.append(job)
