"""Work that the service can't go on without."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from daskingest.errors import DaskingestError

log = logging.getLogger(__name__)


class Background:
    """Runs it, keeps the first failure, and calls `on_failure` then."""

    def __init__(self) -> None:
        self.failure: DaskingestError | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """A task that does it, and ends without an error."""
        task = asyncio.create_task(self._see_through(work))
        self._tasks.append(task)
        return task

    async def close(self) -> None:
        """Stop all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _see_through(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            log.exception("the service cannot go on")
            if self.failure is not None:  # what follows from it tells less
                return
            if not isinstance(error, DaskingestError):
                error = DaskingestError(f"the service failed: {error!r}")
            self.failure = error
            self.on_failure()
