"""Threads that read a store for an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import TypeVar

from daskingest.stores import Store, open_store

_THREADS = 4

T = TypeVar("T")


class Readers:
    """Each thread has the store at the URL open for itself; none of them writes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._threads = ThreadPoolExecutor(_THREADS, "reader")
        self._stores = local()

    async def read(self, work: Callable[[Store], T]) -> T:
        """Ask the store. Raises StoreError when it cannot be read."""

        def with_store() -> T:
            if not hasattr(self._stores, "store"):
                self._stores.store = open_store(self.url)
            store: Store = self._stores.store
            return work(store)

        return await asyncio.get_running_loop().run_in_executor(self._threads, with_store)

    def close(self) -> None:
        """Take nothing more."""
        self._threads.shutdown(cancel_futures=True)
