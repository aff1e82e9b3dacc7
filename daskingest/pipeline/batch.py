"""Batches: the rows that one task extracts, under an id that never changes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from daskingest.articles import Article, Reject
from daskingest.ledger import BatchId


class RowSource(Protocol):
    """Where a batch's rows come from. It is sent to the worker."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def rows(self) -> Iterator[Article | Reject]:
        """The rows, the same at every call."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows [first, last) of a source. With `only`, at most that many of them are counted now."""

    id: BatchId
    source: RowSource
    first: int = 0
    last: int | None = None
    only: int | None = None

    def rows(self) -> Iterator[Article | Reject]:
        """The batch's rows."""
        return itertools.islice(self.source.rows(), self.first, self.last)

    def count_rows(self) -> int:
        """How many rows it has. This reads them all."""
        return sum(1 for _ in self.rows())

    def parts(self, at: int) -> list[Batch]:
        """The parts of the batch, split before its row `at`, without what is not counted now."""
        middle = self.first + at
        head = replace(self, id=self.id.part(0), last=middle)
        tail = replace(self, id=self.id.part(1), first=middle)
        if self.only is None:
            return [head, tail]
        if self.only <= at:
            return [replace(head, only=self.only if self.only < at else None)]
        return [replace(head, only=None), replace(tail, only=self.only - at)]


class BatchSource(Protocol):
    """Where a driver's batches come from; more may become available over time."""

    async def take(self, most: int, idle: int) -> list[Batch] | None:
        """Up to `most` batches, of which `idle` are for workers that have nothing to do.

        An empty list: none is there yet, ask again after `Driver.wake`. None: no more will come.
        """


class ListedBatches:
    """A BatchSource from an iterable, which is consumed on a thread as batches are asked for."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = iter(batches)

    async def take(self, most: int, idle: int) -> list[Batch] | None:
        """See `BatchSource.take`."""
        return await asyncio.to_thread(list, itertools.islice(self._batches, most)) or None
