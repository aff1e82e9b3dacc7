"""Background tasks without which the service can't continue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from daskingest.errors import DaskingestError

log = logging.getLogger(__name__)


class Background:
    """Runs such tasks. At the first failure, keeps it and calls `on_failure`."""

    def __init__(self) -> None:
        self.failure: DaskingestError | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a task. Awaiting it never raises its error, which becomes `failure`."""
        task = asyncio.create_task(self._see_through(work))
        self._tasks.append(task)
        return task

    async def close(self) -> None:
        """Cancel all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _see_through(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            log.exception("the service cannot continue")
            if self.failure is not None:  # later failures are consequences
                return
            if not isinstance(error, DaskingestError):
                error = DaskingestError(f"the service failed: {error!r}")
            self.failure = error
            self.on_failure()
