"""Which worker has which tasks, and where the next one goes."""

from __future__ import annotations

from collections.abc import Collection

from daskingest.ledger import BatchId

TASKS_PER_WORKER = 2
"""One runs, one waits: a worker has no pause, and takes few tasks with it when it dies."""


class Places:
    """The workers that can be given tasks, by address, and the tasks that workers have.

    A worker that tries a suspect has nothing else: what it dies of is known then.
    """

    def __init__(self, workers: Collection[str]) -> None:
        self._workers = sorted(workers)
        self._tasks: dict[str, list[BatchId]] = {}  # the oldest first; also of workers that went
        self._alone: dict[str, BatchId] = {}  # the suspect that a worker tries
        self._given_up: set[str] = set()

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self._workers)

    def are(self, workers: Collection[str]) -> bool:
        """Whether they are these."""
        return self._workers == sorted(workers)

    def seen(self, workers: Collection[str]) -> None:
        """These are there now. What others have is with them until it is removed."""
        self._workers = sorted(workers)

    def lost(self, worker: str) -> None:
        """It died: it is given nothing until it is seen again."""
        self._workers = [each for each in self._workers if each != worker]

    def give_up(self, worker: str) -> None:
        """It can't be ended: it is given nothing any more."""
        self._given_up.add(worker)

    def put(self, worker: str, batch_id: BatchId, alone: bool) -> None:
        """A worker is given a task; `alone`: and nothing else until that is removed."""
        self._tasks.setdefault(worker, []).append(batch_id)
        if alone:
            self._alone[worker] = batch_id

    def remove(self, worker: str, batch_id: BatchId) -> None:
        """A worker does not have a task any more."""
        tasks = self._tasks[worker]
        tasks.remove(batch_id)
        if not tasks:
            del self._tasks[worker]
        if self._alone.get(worker) == batch_id:
            del self._alone[worker]

    def emptiest(self) -> str | None:
        """The worker that is free of tasks, or will be soonest: where a suspect is tried."""
        return min(self._open(None), key=self._load, default=None)

    def is_empty(self, worker: str) -> bool:
        """Whether it has no task."""
        return not self._load(worker)

    def next(self, kept: str | None) -> str | None:
        """Who is given a task next, if any has room. One is `kept` for another purpose."""
        worker = min(self._open(kept), key=self._load, default=None)
        return worker if worker is not None and self._load(worker) < TASKS_PER_WORKER else None

    def room(self, kept: str | None) -> tuple[int, int]:
        """How many tasks could be placed, and how many workers have none."""
        loads = [self._load(each) for each in self._open(kept)]
        return sum(TASKS_PER_WORKER - each for each in loads), loads.count(0)

    def waiting(self) -> list[BatchId]:
        """The last task of each worker that has several."""
        return [tasks[-1] for tasks in self._tasks.values() if len(tasks) > 1]

    def _load(self, worker: str) -> int:
        return len(self._tasks.get(worker, ()))

    def _open(self, kept: str | None) -> list[str]:
        shut = self._alone.keys() | self._given_up | {kept}
        return [each for each in self._workers if each not in shut]
