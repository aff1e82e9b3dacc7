"""A store without a service: its counts are complete, or written by another program."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from daskingest.service.rates import Rate
from daskingest.service.trials import Trials
from daskingest.stores import ReadableStore
from daskingest.stores.aliases import ALONE, Aliases
from daskingest.stores.reading import ReadPool

T = TypeVar("T")


class StoreAlone:
    """A `Backend`. Open one with `open_store_alone`."""

    def __init__(self, read_pool: ReadPool, billed: bool, trials: Trials | None) -> None:
        self.billed = billed
        self.dashboard = ""
        self.trials = trials
        self._read_pool = read_pool

    async def read(self, work: Callable[[ReadableStore], T]) -> T:
        """See `Backend.read`."""
        return await self._read_pool.read(work)

    def history(self) -> list[Rate]:
        """See `Backend.history`."""
        return []

    def status(self) -> None:
        """See `Backend.status`."""

    async def close(self) -> None:
        """End the threads, and the process that tries articles."""
        self._read_pool.close()
        if self.trials is not None:
            await self.trials.close()


@asynccontextmanager
async def open_store_alone(
    url: str, model: str, billed: bool, tries: bool = True, aliases: Aliases = ALONE
) -> AsyncIterator[StoreAlone]:
    """The store at a URL, and the model, a spaCy package or folder, to try texts with.

    `billed` says whether reading the store is, `tries` whether people may try texts, and `aliases`
    which words are counted as one.
    """
    backend = StoreAlone(ReadPool(url, aliases), billed, Trials(model) if tries else None)
    try:
        yield backend
    finally:
        await backend.close()
