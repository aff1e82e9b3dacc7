"""The tasks that workers have, since when, and which of them take too long."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator

from daskingest.ledger import BatchId
from daskingest.pipeline.deadlines import Clock, TimeLimit, is_over
from daskingest.pipeline.events import (
    ControlFailed,
    ControlPassed,
    Extracted,
    KillWorker,
    LookAtWorker,
    SaverUnreached,
    Submit,
    TaskBegun,
    TaskFailed,
    WorkerDied,
    WorkerLooked,
)
from daskingest.pipeline.jobs import Job, Jobs, State, Task
from daskingest.pipeline.places import Places

_KILL_SECONDS = 10.0  # for a worker to be gone before it is killed again
_LATE = 0.5  # of its limit: nothing usual takes so long
_LOOK_AGAIN = 0.1  # of its limit, after which the worker of one that had it is looked at again
_KILLS = 6  # before a worker is given up

TaskNews = TaskBegun | ControlPassed | WorkerLooked
TaskEnd = ControlFailed | Extracted | SaverUnreached | TaskFailed | WorkerDied

log = logging.getLogger(__name__)


class Tasks:
    """The tasks of jobs, each on one of the workers."""

    def __init__(self, jobs: Jobs, workers: Collection[str], limit: TimeLimit) -> None:
        self.places = Places(workers)
        self.unfit = 0
        """Workers that failed on a harmless text, one after the other."""
        self._jobs = jobs
        self._limit = limit
        self._clock = Clock()
        self._count = 0

    @property
    def late(self) -> dict[BatchId, float]:
        """The batches that have taken half of the time they may, and for how many seconds."""
        found = {}
        for job, task in self._all():
            if task.began is not None:
                seconds = self._clock.seconds - task.began
                if seconds > _LATE * self._limit_of(job, task):
                    found[job.batch.id] = seconds
        return found

    def submit(self, job: Job, worker: str) -> Submit:
        """Give a worker a batch."""
        self._count += 1
        self._jobs.begin(job, Task(self._count, worker, controlled=not job.alone))
        self.places.put(worker, job.batch.id, job.alone)
        return Submit(job.batch, self._count, worker, job.alone)

    def find(self, batch_id: BatchId, number: int) -> tuple[Job, Task] | None:
        """The job and its task with this number, unless that was withdrawn."""
        job = self._jobs.find(batch_id, State.RUNNING, State.STORED)
        if job is None or job.task is None or job.task.number != number:
            return None
        return job, job.task

    def told(self, event: TaskNews) -> None:
        """A task's time begins, or what it used is known, unless its worker is being killed."""
        found = self.find(event.batch_id, event.task)
        if found is None or found[1].overdue is not None:
            return
        task = found[1]
        if isinstance(event, WorkerLooked):
            task.hindered = event.hindered
            if event.used is not None:
                task.used = event.used - task.used_before
            return
        task.began, task.used_before, task.used = self._clock.seconds, event.used, 0.0
        task.looked, task.hindered = None, False
        if isinstance(event, ControlPassed):
            task.controlled, self.unfit = True, 0

    def leave(self, job: Job, task: Task) -> None:
        """The task is not with its worker any more. What the store has is forgotten then."""
        self.places.remove(task.worker, job.batch.id)
        self._jobs.end(job)
        if job.state is State.STORED:
            self._jobs.remove(job)

    def to_move(self, kept: str | None) -> Iterator[tuple[Job, int, str]]:
        """What waits behind another's task, for a worker that has nothing: job, task, worker.

        The task has left its worker when this tells it.
        """
        worker = self.places.next(kept)
        if worker is None or not self.places.is_empty(worker):
            return
        for batch_id in self.places.waiting():
            worker = self.places.next(kept)
            if worker is None or not self.places.is_empty(worker):
                return
            job = self._jobs.find(batch_id, State.RUNNING)
            if job is not None and job.task is not None and job.task.began is None:
                task = job.task
                self.leave(job, task)
                yield job, task.number, worker

    def of(self, worker: str) -> list[tuple[Job, Task]]:
        """The tasks of a worker."""
        return [(job, task) for job, task in self._all() if task.worker == worker]

    def look(self, now: float) -> tuple[list[KillWorker | LookAtWorker], list[str]]:
        """The workers to be killed or looked at, and those that are given up, not having died."""
        self._clock.look(now)
        found: list[KillWorker | LookAtWorker] = []
        give_up = []
        for job, task in self._all():
            if self._is_due(job, task):
                task.kills += 1
                if task.kills <= _KILLS:
                    found.append(KillWorker(task.worker))
                else:
                    log.warning("the worker %s can't be killed; continuing without it", task.worker)
                    self.places.give_up(task.worker)
                    give_up.append(task.worker)
            elif self._is_to_be_looked_at(job, task):
                task.looked = self._clock.seconds
                found.append(LookAtWorker(job.batch.id, task.number, task.worker))
        return found, give_up

    def _is_due(self, job: Job, task: Task) -> bool:
        """Whether something is to be done about a task's worker now."""
        now = self._clock.seconds
        if task.began is None:
            return False
        if task.overdue is None:
            limit, passed = self._limit_of(job, task), now - task.began
            if not is_over(limit, passed, task.used):
                return False
            message = "batch %s: took %.0f s on %s, %.0f of them of the processor; %.0f are allowed"
            log.warning(message, job.batch.id, passed, task.worker, task.used, limit)
            task.hindered = task.hindered and task.used <= limit
            task.overdue = now
        return now - task.overdue >= _KILL_SECONDS * task.kills

    def _is_to_be_looked_at(self, job: Job, task: Task) -> bool:
        """Whether a task's limit has passed, so that it matters what its worker did meanwhile."""
        if task.began is None or task.overdue is not None:
            return False
        now, limit = self._clock.seconds, self._limit_of(job, task)
        since = None if task.looked is None else now - task.looked
        return now - task.began > limit and (since is None or since >= _LOOK_AGAIN * limit)

    def _limit_of(self, job: Job, task: Task) -> float:
        """The seconds that a task may take: for the batch, or for the harmless text before it."""
        return self._limit.seconds(job.size if task.controlled else 0)

    def _all(self) -> list[tuple[Job, Task]]:
        return [(job, job.task) for job in self._jobs.running if job.task is not None]
