"""Calls a store on a thread of its own, repeatedly until it works."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from daskingest.errors import StoreError
from daskingest.pipeline.actors import SaverLost
from daskingest.stores import Store, open_store

_RETRY_FIRST, _RETRY_MOST = 0.5, 30.0  # seconds
_COMMIT_SIZE = 100_000  # counters, until the store is open

_CALLS = threading.Lock()
"""Held while a saver of this process calls its store: one that replaces another waits until the
other's last commit is done, and finds its batches in the ledger.
"""

log = logging.getLogger(__name__)
T = TypeVar("T")


class StoreThread:
    """Opens the store at a URL at the first call.

    `wanted` is checked before each call: a saver that was replaced must write nothing more. `tell`
    is called with what keeps the store from working, and with "" when it works again.
    """

    def __init__(
        self, url: str, wanted: Callable[[], bool], tell: Callable[[str], Awaitable[None]]
    ) -> None:
        self._url = url
        self._wanted = wanted
        self._tell = tell
        self._trouble = False
        self._thread = ThreadPoolExecutor(1, "store")
        self.store: Store | None = None

    @property
    def commit_size(self) -> int:
        """How many counters a commit should have at most."""
        return self.store.commit_size if self.store else _COMMIT_SIZE

    @property
    def settled_after(self) -> float:
        """See `Store.settled_after`; only after the first call."""
        assert self.store is not None
        return self.store.settled_after

    async def call(self, work: Callable[[Store], T]) -> T:
        """What `work` returns, called with the store; repeated with growing pauses until it works.

        Raises SaverLost if this saver was replaced.
        """
        delay = _RETRY_FIRST
        while True:
            try:
                loop = asyncio.get_running_loop()
                result = await loop.run_in_executor(self._thread, self._call, work)
            except SaverLost:
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

    async def _say(self, trouble: str) -> None:
        self._trouble = bool(trouble)
        await self._tell(trouble)

    def _call(self, work: Callable[[Store], T]) -> T:
        with _CALLS:
            if not self._wanted():
                raise SaverLost("another saver has taken over")
            if self.store is None:
                self.store = open_store(self._url, create=True)
            return work(self.store)
