"""A store without a service: its counts are complete, or written by another program."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from daskingest.extraction import entities_in
from daskingest.stores import Store
from daskingest.stores.reading import ReadPool
from daskingest.text import EntitySpan

T = TypeVar("T")


class StoreAlone:
    """A `Backend`. Open one with `open_store_alone`."""

    def __init__(self, url: str, model: str, billed: bool) -> None:
        self.billed = billed
        self.dashboard = ""
        self._model = model
        self._read_pool = ReadPool(url)
        self._finder = ThreadPoolExecutor(1, "finder")

    async def read(self, work: Callable[[Store], T]) -> T:
        """See `Backend.read`."""
        return await self._read_pool.read(work)

    async def entities(self, text: str) -> list[EntitySpan]:
        """See `Backend.entities`. The model is loaded at the first call."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._finder, entities_in, text, self._model)

    def status(self) -> None:
        """See `Backend.status`."""

    def close(self) -> None:
        """Stop the threads."""
        self._read_pool.close()
        self._finder.shutdown(cancel_futures=True)


@asynccontextmanager
async def open_store_alone(url: str, model: str, billed: bool) -> AsyncIterator[StoreAlone]:
    """The store at a URL, and the model, a spaCy package or folder, for trying texts.

    `billed` says whether reading the store is billed.
    """
    backend = StoreAlone(url, model, billed)
    try:
        yield backend
    finally:
        backend.close()
