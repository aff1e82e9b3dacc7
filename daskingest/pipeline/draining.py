"""A worker that can be told to go: it finishes what it is at, and takes nothing new."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from distributed import Nanny, Worker
from distributed.core import Status

from daskingest.pipeline.saver import Saver

_LOOK_SECONDS = 0.1


class DrainingWorker(Worker):
    """Dask's, with one more call, for its nanny."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handlers["drain"] = self.drain

    async def drain(self, seconds: float) -> bool:
        """Take no more tasks, and finish the one that runs; commit what a saver here has.

        Returns whether that is done, after so many seconds at most. Tasks that wait here are given
        to others when this worker is gone.
        """
        self.status = Status.closing_gracefully  # of which the scheduler is told, and drivers
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.state.all_running_tasks:
                    await asyncio.sleep(_LOOK_SECONDS)
                for actor in list(self.state.actors.values()):
                    if isinstance(actor, Saver):
                        with suppress(Exception):  # it was replaced
                            await actor.drain()
                return True
        return False


class DrainingNanny(Nanny):
    """Dask's, for such a worker; keeps the reason for its end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.reason = ""
        super().__init__(*args, **{**kwargs, "worker_class": DrainingWorker})

    async def drain(self, seconds: float) -> bool:
        """See `DrainingWorker.drain`; False also if it does not answer."""
        address = self.worker_address
        if address is None:
            return False
        try:
            async with asyncio.timeout(seconds + 1), self.rpc(address) as worker:
                return bool(await worker.drain(seconds=seconds))
        except (OSError, TimeoutError):
            return False

    def close_gracefully(self, reason: str = "") -> None:
        """Called by the worker when it ends, but for one that died."""
        self.reason = self.reason or reason
        super().close_gracefully(reason=reason)

    async def close(self, timeout: float | None = None, reason: str = "") -> Any:
        """End the worker, which has so many seconds for it, and this."""
        self.reason = self.reason or reason
        return await super().close(timeout=5 if timeout is None else timeout, reason=reason)
