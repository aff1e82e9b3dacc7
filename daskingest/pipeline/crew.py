"""The extraction workers: gives them tasks, hears of their ends, and kills those that must go."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from distributed import Client, Future, KilledWorker

from daskingest.ledger import BatchId
from daskingest.pipeline import worker_process
from daskingest.pipeline.actors import SaverLost
from daskingest.pipeline.dask_settings import EXTRACT
from daskingest.pipeline.deaths import TOGETHER_SECONDS, Deaths
from daskingest.pipeline.events import (
    ControlFailed,
    Event,
    Extracted,
    LookAtWorker,
    SaverUnreached,
    Submit,
    TaskFailed,
    WorkerDied,
    WorkerLooked,
)
from daskingest.pipeline.members import WorkerSeen, look_at
from daskingest.pipeline.notices import Notices, event_of
from daskingest.pipeline.saver_client import SaverRef
from daskingest.pipeline.savers import Work
from daskingest.pipeline.task import Assignment, TaskResult, Unfit, count_batch
from daskingest.pipeline.waiting import SchedulerLost
from daskingest.stores import Replaced

_LOOKS_TO_BE_GONE = 3  # one after the other without a worker, when Dask has told nothing
_KILL_SECONDS = 30.0
_ANSWER_SECONDS = 10.0  # of a nanny, about its worker

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watched:
    """A task that is with a worker, as far as is known."""

    worker: str
    future: Future[TaskResult]
    watcher: asyncio.Task[None] | None = None
    begun: bool = False
    result: TaskResult | None = None  # as the task itself told it
    missed: int = 0  # looks at the cluster that did not see its worker


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a crew needs of its driver.

    `tell` takes events, `extracted` the seconds that a batch took; `spawn` runs something in the
    background, whose errors end the run.
    """

    tell: Callable[[Event], None]
    extracted: Callable[[float], None]
    spawn: Callable[[Coroutine[object, None, None]], asyncio.Task[None]]


class Crew:
    """The workers with the resource to extract, and the tasks that they have from this driver."""

    def __init__(self, client: Client, work: Work, hooks: Hooks) -> None:
        self._client = client
        self._work = work
        self._hooks = hooks
        self._topic = f"daskingest-task-{uuid4().hex}"
        self._scheduler = ""
        self._workers: dict[str, WorkerSeen] = {}
        self._deaths = Deaths()
        self._watched: dict[tuple[BatchId, int], Watched] = {}
        client.subscribe_topic(self._topic, self._noticed)

    async def look(self) -> frozenset[str]:
        """The workers, by address, that can be given tasks now.

        Raises OSError if the scheduler does not answer, and SchedulerLost if it is another one now,
        which knows nothing of this driver.
        """
        found = await look_at(self._client)
        self._scheduler = self._scheduler or found.scheduler
        if found.scheduler != self._scheduler:
            raise SchedulerLost
        seen = found.workers
        for address in seen.keys() - self._workers.keys():
            self._client.subscribe_topic(address, partial(self._worker_told, address))
        for address in self._workers.keys() - seen.keys():
            self._client.unsubscribe_topic(address)
        self._workers = seen
        self._deaths.seen(seen.keys(), _now())
        self._find_abandoned()
        return frozenset(
            address for address, each in seen.items() if each.running and EXTRACT in each.resources
        )

    def has(self, resource: str) -> bool:
        """Whether there was a worker with the resource at the last look."""
        return any(resource in each.resources for each in self._workers.values())

    def submit(self, submit: Submit, savers: tuple[SaverRef, ...]) -> None:
        """Have a worker extract a batch: see the instruction. The savers are told by place."""
        batch, number, work = submit.batch, submit.task, self._work
        notices = Notices(self._topic, batch.id, number)
        future = self._client.submit(
            count_batch,
            Assignment(batch, work.model, work.recognizer, savers, notices, submit.alone),
            key=f"extract-{batch.id}-{number}-{self._topic}",
            resources={EXTRACT: 1},
            workers=[submit.worker],
            pure=False,
        )
        watched = self._watched[batch.id, number] = Watched(submit.worker, future)
        watched.watcher = self._hooks.spawn(self._watch(batch.id, number, watched))

    def withdraw(self, batch_id: BatchId, task: int) -> None:
        """Forget a task. If its worker has begun with it, it may see it through."""
        watched = self._watched.pop((batch_id, task), None)
        if watched is not None:
            if watched.watcher is not None:
                watched.watcher.cancel()
            watched.future.release()

    async def kill(self, worker: str) -> None:
        """End a worker's process, also if it does not answer. Its nanny starts another."""
        seen = self._workers.get(worker)
        if seen is None:
            return
        self._deaths.killed(worker)
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS):
                try:
                    await worker_process.kill(self._client, worker, seen.nanny)
                except Exception as error:  # it may be gone already; if not, it is tried again
                    log.warning("the worker %s could not be killed: %s", worker, error)

    async def look_at_worker(self, task: LookAtWorker) -> None:
        """See the instruction. A worker without a nanny may be too busy to answer."""
        worker = self._workers.get(task.worker)
        if worker is None:
            return
        found = None
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                found = await worker_process.look(self._client, task.worker, worker.nanny)
        except Exception as error:  # as of one that has gone since the last look
            log.debug("the worker %s could not be looked at: %r", task.worker, error)
        used, hindered = (found.used, found.stopped) if found else (None, worker.nanny)
        self._hooks.tell(WorkerLooked(task.batch_id, task.task, used, hindered))

    def close(self) -> None:
        """Listen to nobody any more."""
        with suppress(Exception):  # there may be no scheduler to tell
            for topic in (self._topic, *self._workers):
                self._client.unsubscribe_topic(topic)

    async def _watch(self, batch_id: BatchId, number: int, watched: Watched) -> None:
        event = await self._outcome(batch_id, number, watched)
        self._watched.pop((batch_id, number), None)
        self._hooks.tell(event)

    async def _outcome(self, batch_id: BatchId, number: int, watched: Watched) -> Event:
        try:
            error = await watched.future.exception()
            if error is not None:
                raise error
            result = watched.result or await watched.future
        except KilledWorker:
            return WorkerDied(batch_id, number, await self._is_explained(watched))
        except (SaverLost, Replaced) as error:
            return SaverUnreached(batch_id, number, str(error))
        except Unfit as error:
            return ControlFailed(batch_id, number, str(error))
        except CancelledError:  # of futures; a task's is another
            raise SchedulerLost() from None
        except Exception as error:
            return TaskFailed(batch_id, number, error)
        self._hooks.extracted(result.seconds)
        return Extracted(batch_id, number, result.rejects)

    async def _is_explained(self, watched: Watched) -> bool:
        """Whether a worker died for a reason of its own, or of its host's."""
        self._deaths.died(watched.worker, _now())
        if not watched.begun or self._deaths.was_killed(watched.worker):
            return False  # it is clear whose fault it is
        await asyncio.sleep(TOGETHER_SECONDS)  # others of its host may follow
        with suppress(OSError):
            await self.look()
        return self._deaths.explained(watched.worker)

    def _find_abandoned(self) -> None:
        """Tasks whose worker went in an orderly way wait for it to come back, which it won't."""
        for (batch_id, number), each in list(self._watched.items()):
            there = each.worker in self._workers or each.future.status != "pending"
            each.missed = 0 if there else each.missed + 1
            if each.missed >= _LOOKS_TO_BE_GONE:
                self.withdraw(batch_id, number)
                self._hooks.tell(WorkerDied(batch_id, number, explained=True))

    def _noticed(self, event: tuple[float, tuple[str, int, bytes | tuple[bool, float]]]) -> None:
        batch_id, task, told = event[1]
        watched = self._watched.get((BatchId.parse(batch_id), task))
        if watched is None:
            return
        if isinstance(told, bytes):
            watched.result = pickle.loads(told)
            return
        watched.begun = True
        log.debug("batch %s: begun by %s", batch_id, watched.worker)
        self._hooks.tell(event_of(batch_id, task, told))

    def _worker_told(self, worker: str, event: tuple[float, Any]) -> None:
        """What the scheduler notes about a worker: also that it was told to go."""
        match event[1]:
            case {"action": "worker-status-change", "status": "closing" | "closing_gracefully"}:
                self._deaths.leaving(worker)
            case {"action": "remove-worker", "expected": True}:
                self._deaths.leaving(worker)


def _now() -> float:
    return asyncio.get_running_loop().time()
