"""Which worker has which tasks, and where the next one goes."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection

from daskingest.ledger import BatchId

TASKS_PER_WORKER = 2
"""One runs, one waits: a worker has no pause, and takes few tasks with it when it dies."""

_OPEN, _OPEN_PER_WORKER = 8192, 64  # the most batches that may be on their way: the larger one
_BYTES_PER_WORKER, _FEW_PER_WORKER = 64 << 20, 8  # of those that have their articles with them

_OLD_ENTRIES = 8  # of the heap, for each that is not, before it is made again


class Places:
    """The workers that can be given tasks, by address, and the tasks that workers have.

    A worker that tries a suspect has nothing else: what it dies of is known then. What is told and
    asked of one worker takes a time that does not grow with their number, or with its logarithm.
    """

    def __init__(self, workers: Collection[str]) -> None:
        self._workers: set[str] = set()
        self._tasks: dict[str, dict[BatchId, None]] = {}  # the oldest first; also of who went
        self._alone: dict[str, BatchId] = {}  # the suspect that a worker tries
        self._given_up: set[str] = set()
        # The workers that are open to tasks, with their number of tasks; how many have each
        # number; and a heap of the same, in which some entries are old.
        self._open: dict[str, int] = {}
        self._counts: Counter[int] = Counter()
        self._heap: list[tuple[int, str]] = []
        self._several: dict[str, None] = {}
        self.seen(workers)

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self._workers)

    def most_open(self, nbytes: float = 0.0) -> int:
        """How many batches may be on their way, each of which takes so many bytes of memory here.

        Half of them a saver can gather for a commit: more than what most clusters extract in the
        time that one takes, and the minute after it.
        """
        workers = max(1, self.workers)
        most = max(_OPEN, _OPEN_PER_WORKER * workers)
        if not nbytes:
            return most
        return min(most, max(_FEW_PER_WORKER * workers, int(_BYTES_PER_WORKER * workers / nbytes)))

    def are(self, workers: Collection[str]) -> bool:
        """Whether they are these."""
        return self._workers == set(workers)

    def seen(self, workers: Collection[str]) -> None:
        """These are there now. What others have is with them until it is removed."""
        changed = self._workers.symmetric_difference(workers)
        self._workers.symmetric_difference_update(changed)
        for each in changed:
            self._note(each)

    def lost(self, worker: str) -> None:
        """It died: it is given nothing until it is seen again."""
        self._workers.discard(worker)
        self._note(worker)

    def give_up(self, worker: str) -> None:
        """It can't be ended: it is given nothing any more."""
        self._given_up.add(worker)
        self._note(worker)

    def put(self, worker: str, batch_id: BatchId, alone: bool) -> None:
        """A worker is given a task; `alone`: and nothing else until that is removed."""
        self._tasks.setdefault(worker, {})[batch_id] = None
        if alone:
            self._alone[worker] = batch_id
        self._note(worker)

    def remove(self, worker: str, batch_id: BatchId) -> None:
        """A worker does not have a task any more."""
        tasks = self._tasks[worker]
        del tasks[batch_id]
        if not tasks:
            del self._tasks[worker]
        if self._alone.get(worker) == batch_id:
            del self._alone[worker]
        self._note(worker)

    def emptiest(self) -> str | None:
        """The worker that is free of tasks, or will be soonest: where a suspect is tried."""
        return self._first(None)

    def is_empty(self, worker: str) -> bool:
        """Whether it has no task."""
        return worker not in self._tasks

    def next(self, kept: str | None) -> str | None:
        """Who is given a task next, if any has room. One is `kept` for another purpose."""
        worker = self._first(kept)
        return worker if worker is not None and self._open[worker] < TASKS_PER_WORKER else None

    def room(self, kept: str | None) -> tuple[int, int]:
        """How many tasks could be placed, and how many workers have none."""
        counts = self._counts - Counter([self._open[kept]] if kept in self._open else [])
        room = sum((TASKS_PER_WORKER - tasks) * many for tasks, many in counts.items())
        return room, counts[0]

    def waiting(self) -> list[BatchId]:
        """The last task of each worker that has several."""
        return [next(reversed(self._tasks[each])) for each in self._several]

    def _first(self, kept: str | None) -> str | None:
        """The worker with the fewest tasks, the first by address, but not the one that is kept."""
        aside = None
        while self._heap:
            tasks, worker = self._heap[0]
            if self._open.get(worker) != tasks:
                heapq.heappop(self._heap)  # old
            elif worker == kept:
                aside = heapq.heappop(self._heap)
            else:
                break
        found = self._heap[0][1] if self._heap else None
        if aside is not None:
            heapq.heappush(self._heap, aside)
        return found

    def _note(self, worker: str) -> None:
        """What is known of a worker has changed."""
        tasks = len(self._tasks.get(worker, ()))
        if tasks > 1:
            self._several[worker] = None
        else:
            self._several.pop(worker, None)
        before = self._open.pop(worker, None)
        if before is not None:
            self._counts[before] -= 1
        if worker in self._workers and worker not in self._alone and worker not in self._given_up:
            self._open[worker] = tasks
            self._counts[tasks] += 1
            if tasks != before:
                heapq.heappush(self._heap, (tasks, worker))
        if len(self._heap) > _OLD_ENTRIES * (1 + len(self._open)):
            self._heap = [(tasks, worker) for worker, tasks in self._open.items()]
            heapq.heapify(self._heap)
