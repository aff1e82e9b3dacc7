"""Monitors the workers: their memory, and how often each was replaced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from distributed import Client

from daskingest.service.metrics import Metrics
from daskingest.service.status import WorkerStatus

_INTERVAL_SECONDS = 2.0
_ANSWER_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """A worker as the scheduler reports it. Its replacement has its name and another address."""

    name: str
    address: str
    memory: int


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker with its last address; one that is gone has no memory."""

    address: str
    memory: int
    restarts: int = 0


def update(known: dict[str, Worker], seen: Iterable[SeenWorker]) -> dict[str, Worker]:
    """The workers by name, now that these were seen."""
    workers: dict[str, Worker] = {}
    for each in seen:
        before = known.get(each.name)
        restarts = before.restarts + (before.address != each.address) if before else 0
        workers[each.name] = Worker(each.address, each.memory, restarts)
    gone = {name: replace(each, memory=0) for name, each in known.items() if name not in workers}
    return workers | gone


class WorkerMonitor:
    """Asks the scheduler for its workers every few seconds, and updates the metrics."""

    def __init__(self, client: Callable[[], Client | None], metrics: Metrics) -> None:
        self._client = client
        self._metrics = metrics
        self._workers: dict[str, Worker] = {}
        self._asked: Client | None = None
        self._unanswered = False

    def status(self) -> dict[str, WorkerStatus]:
        """The workers by name, in order."""
        return {
            name: WorkerStatus(each.memory, each.restarts)
            for name, each in sorted(self._workers.items())
        }

    async def run(self) -> None:
        """Monitor until cancelled."""
        while True:
            await self.look(asyncio.get_running_loop().time())
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def look(self, now: float) -> None:
        """Ask once. A scheduler that does not answer is asked again next time.

        The workers of a cluster that is lost are not those of the next one.
        """
        if (client := self._client()) is not self._asked:
            self._asked, self._workers = client, {}
            self._metrics.forget_workers()
        if (seen := await self._ask(client)) is not None:
            self._workers = update(self._workers, seen)
            for name, each in self._workers.items():
                self._metrics.worker(name, each.memory, each.restarts)
        self._metrics.sample(now)

    async def _ask(self, client: Client | None) -> list[SeenWorker] | None:
        """The workers that the scheduler has; None if it does not answer."""
        scheduler: Any = client and client.scheduler
        try:
            if client is None or scheduler is None or client.status != "running":
                raise ConnectionError("the connection is lost")
            async with asyncio.timeout(_ANSWER_SECONDS):
                identity = await scheduler.identity(n_workers=-1)
        except OSError as error:  # also when there is no answer in time
            if not self._unanswered:
                log.warning("the scheduler does not answer: %s; asking again", error or "too slow")
            self._unanswered = True
            return None
        self._unanswered = False
        return [
            SeenWorker(str(each["name"]), address, each.get("metrics", {}).get("memory", 0))
            for address, each in identity["workers"].items()
        ]
