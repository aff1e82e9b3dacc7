"""Calls a store on a thread of its own, repeatedly until it works."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from daskingest.errors import StoreError
from daskingest.ledger import LedgerError
from daskingest.stores import Replaced, Store, open_store

_RETRY_FIRST, _RETRY_MOST = 0.5, 30.0  # seconds
LONG_SECONDS = 120.0
"""For one call, after which it is told that a store does not answer."""

_COMMIT_SIZE = 100_000  # counters, until the store is open

log = logging.getLogger(__name__)
T = TypeVar("T")


class StoreThread:
    """Opens the store at a URL at the first call.

    `tell` is told what keeps the store from working, and "" when it works again. It is one of so
    many `writers`.
    """

    def __init__(self, url: str, tell: Callable[[str], Awaitable[None]], writers: int = 1) -> None:
        self._url = url
        self._writers = writers
        self._tell = tell
        self._trouble = False
        self._thread = ThreadPoolExecutor(1, "store")
        self.store: Store | None = None

    @property
    def commit_size(self) -> int:
        """How many counters a commit should have at most."""
        return self.store.commit_size if self.store else _COMMIT_SIZE

    async def call(self, work: Callable[[Store], T]) -> T:
        """What `work` returns, called with the store; repeated with growing pauses until it works.

        Raises Replaced when another saver has taken over, and LedgerError.
        """
        delay = _RETRY_FIRST
        while True:
            try:
                loop = asyncio.get_running_loop()
                result = await self._see_through(
                    loop.run_in_executor(self._thread, self._call, work)
                )
            except (Replaced, LedgerError):
                raise
            except StoreError as error:
                log.warning("%s; trying again in %.1f s", error, delay)
                await self._say(str(error))
            except Exception as error:
                log.exception("the store failed; trying again in %.1f s", delay)
                await self._say(f"the store failed: {error!r}")
            else:
                if self._trouble:
                    await self._say("")
                return result
            await asyncio.sleep(delay)
            delay = min(2 * delay, _RETRY_MOST)

    async def _see_through(self, call: asyncio.Future[T]) -> T:
        """What the call returns; if that takes long, it is told."""
        done, _ = await asyncio.wait([call], timeout=LONG_SECONDS)
        if not done:
            await self._say(_silent())
        return await call

    async def _say(self, trouble: str) -> None:
        self._trouble = bool(trouble)
        await self._tell(trouble)

    def _call(self, work: Callable[[Store], T]) -> T:
        if self.store is None:
            self.store = open_store(self._url, create=True, writers=self._writers)
        return work(self.store)


@contextmanager
def told_if_silent(say: Callable[[str], object]) -> Iterator[None]:
    """If what is done with a store inside the context takes long, `say` is called, on a thread."""
    timer = threading.Timer(LONG_SECONDS, lambda: say(f"waiting: {_silent()}"))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _silent() -> str:
    return f"the store has not answered for {LONG_SECONDS:.0f} seconds"
