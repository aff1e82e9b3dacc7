"""Looks at a driver's cluster now and then: who is there, and what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import Any

from distributed import Client

from daskingest.errors import DaskingestError
from daskingest.pipeline.connecting import start_hint
from daskingest.pipeline.crew import Crew
from daskingest.pipeline.dask_settings import EXTRACT, SAVER
from daskingest.pipeline.saver_places import SaverPlaces
from daskingest.pipeline.waiting import SchedulerLost, Waiting

_SCHEDULER = "scheduler"
_AGAIN_SECONDS = 1.0


class Lookout:
    """Knows what keeps a driver from going on. What is missing for `seconds` ends it."""

    def __init__(self, client: Client, crew: Crew, savers: SaverPlaces, seconds: float) -> None:
        self._client = client
        self._crew = crew
        self._savers = savers
        self._seconds = seconds
        kinds = (_SCHEDULER, SAVER, EXTRACT)
        self._waiting = {kind: Waiting(seconds) for kind in kinds}

    @property
    def missing(self) -> str:
        """What is missing, and what to do about it; empty if all that is needed is there."""
        return next((each.missing for each in self._waiting.values() if each.missing), "")

    async def first(self) -> frozenset[str]:
        """The workers, by address, that can be given tasks now. Raises as `look` does."""
        while (workers := await self.look()) is None:
            await asyncio.sleep(_AGAIN_SECONDS)
        return workers

    async def look(self) -> frozenset[str] | None:
        """The workers, by address, that can be given tasks now; None if the scheduler is silent.

        Raises SchedulerLost, and DaskingestError when something was missing for too long.
        """
        try:
            workers = await self._crew.look()
        except OSError:
            if self._client.status in ("closing", "closed"):
                raise SchedulerLost from None
            workers = None
        missing = dict(self._missing(workers))
        now = asyncio.get_running_loop().time()
        for kind, waiting in self._waiting.items():
            if waiting.looked(missing.get(kind, ""), now):
                raise DaskingestError(
                    f"{waiting.missing}; gave up after {self._seconds:.0f} seconds "
                    "(--wait-for-workers); what was counted is kept; run the same command again to "
                    "resume"
                )
        return workers

    def _missing(self, workers: Collection[str] | None) -> Iterator[tuple[str, str]]:
        if workers is None:
            yield _SCHEDULER, "the Dask scheduler does not answer"
            return
        hint = self._hint
        if self._savers.awaited:
            if self._crew.has(SAVER):
                yield SAVER, f"the worker with the resource {SAVER!r} does not start a saver"
            else:
                yield SAVER, f"no worker with the resource {SAVER!r} is ready{hint(SAVER)}"
        if not workers:
            yield EXTRACT, f"no worker with the resource {EXTRACT!r} is ready{hint(EXTRACT)}"

    def _hint(self, resource: str) -> str:
        """What to do about it, if this machine does not start another one by itself."""
        scheduler: Any = self._client.scheduler
        if self._client.cluster is not None or scheduler is None:
            return ""
        return f"; {start_hint(scheduler.address, resource)}"
