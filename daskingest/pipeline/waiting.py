"""What a driver may have to wait for, a scheduler and workers, and for how long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

from daskingest.errors import DaskingestError, UsageError

SAY_AGAIN_SECONDS = 60.0
"""After so many seconds it is said again what is waited for."""

_SOON_SECONDS = 3.0  # within these, a lost worker of this machine is replaced

_RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)
T = TypeVar("T")


class SchedulerLost(DaskingestError):
    """The connection to the scheduler was lost, and with it all that it knew."""

    what = "the connection to the Dask scheduler was lost"

    def __init__(self) -> None:
        super().__init__(f"{self.what}; what was counted is kept; run the same command to resume")


class NotThere(UsageError):
    """There is no scheduler at an address, or it has no worker of a kind. It may come."""

    exit_code = 1


class Waiting:
    """Says what is missing, at once and again, and whether that was so for too many `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.missing = ""
        """What is missing, for longer than it takes to replace a worker of this machine."""
        self._seconds = seconds
        self._since: float | None = None
        self._said = 0.0

    def looked(self, missing: str, now: float) -> bool:
        """Somebody has looked, at this time of a clock. Returns whether to give up.

        `missing` is what was missing and what to do about it, empty if nothing was.
        """
        if not missing:
            if self.missing:
                log.info("what was missing is there again: %s", self.missing)
            self.missing, self._since = "", None
            return False
        if self._since is None:
            self._since = self._said = now
        waited = now - self._since
        if waited >= min(_SOON_SECONDS, self._seconds):
            if self._seconds:
                self._say(missing, now, waited)
            self.missing = missing
        return waited >= self._seconds

    def _say(self, missing: str, now: float, waited: float) -> None:
        if not self.missing:
            log.warning("waiting: %s", missing)
        elif now - self._said >= SAY_AGAIN_SECONDS:
            log.warning("waiting for %.0f seconds: %s", waited, missing)
            self._said = now


@asynccontextmanager
async def patiently(
    opening: Callable[[], AbstractAsyncContextManager[T]],
    seconds: float,
    stopped: Callable[[], bool] = lambda: False,
) -> AsyncIterator[T]:
    """What a connection to a cluster gives, tried again while somebody is NotThere.

    For so many seconds, or until it is stopped; then raises NotThere. Raises SchedulerLost if the
    scheduler goes while it is being connected to.
    """
    waiting, loop = Waiting(seconds), asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        while True:
            try:
                opened = await stack.enter_async_context(opening())
                break
            except NotThere as error:
                if stopped() or waiting.looked(str(error), loop.time()):
                    raise
            except OSError:
                raise SchedulerLost from None
            await asyncio.sleep(_RETRY_SECONDS)
        yield opened
