"""Does something now and then, while something else is done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from daskingest.errors import DaskingestError

log = logging.getLogger(__name__)


@asynccontextmanager
async def repeating(
    seconds: float | None, work: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Do it every so many seconds inside the context, whose end waits for its end; None: never.

    When it fails, that is logged, and it is done again.
    """
    if seconds is None:
        yield
        return
    ended = asyncio.Event()
    task = asyncio.create_task(_repeat(seconds, work, ended))
    try:
        yield
    finally:
        ended.set()
        await task


async def _repeat(
    seconds: float, work: Callable[[], Awaitable[None]], ended: asyncio.Event
) -> None:
    while not ended.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ended.wait()
                return
        try:
            await work()
        except DaskingestError as error:
            log.warning("%s", error)
