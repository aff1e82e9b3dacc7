"""Batches: the rows that one task extracts, under an id that never changes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from daskingest.articles import Article, Reject
from daskingest.counts import Tally
from daskingest.errors import DaskingestError
from daskingest.ledger import BatchId, Counted, Entry, Ledger, Split
from daskingest.sources.checksum import Kind


class RowSource(Protocol):
    """Where a batch's rows come from. It is sent to the worker."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def rows(self) -> Iterator[Article | Reject]:
        """The rows, the same at every call."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows [first, last) of a source. `only`: no more than that number of them are counted now.

    `checksum` is that of all the source's bytes, where they are those of a file.
    """

    id: BatchId
    source: RowSource
    first: int = 0
    last: int | None = None
    only: int | None = None
    checksum: str = ""

    def rows(self) -> Iterator[Article | Reject]:
        """The batch's rows."""
        return itertools.islice(self.source.rows(), self.first, self.last)

    def conflict(self, entry: Entry) -> DaskingestError | None:
        """What is to be told where an entry under its id is of other rows than these."""
        if not isinstance(entry, Counted | Split) or self.checksum in (entry.checksum, ""):
            return None
        if not entry.checksum or Kind.of(entry.checksum) is not Kind.of(self.checksum):
            return None  # of another version: it kept none, or another kind
        return DaskingestError(
            f"batch {self.id}: another run, of a file that begins like this one, has meanwhile "
            "counted other rows under its id, so these were not; run the same command again"
        )

    @property
    def size(self) -> int:
        """About how many bytes it has; of a part it is not known better than that it is one."""
        return self.source.size >> len(self.id.parts)

    def measure(self) -> tuple[int, int]:
        """How many rows it has, and the bytes of their texts, which takes reading them."""
        rows = size = 0
        for row in self.rows():
            rows += 1
            size += len(row.content.encode()) if isinstance(row, Article) else 0
        return rows, size

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


def planned(batches: Iterable[Batch], ledger: Ledger) -> Iterator[tuple[Batch, Tally | None]]:
    """The batches, those that the ledger says were cut as their parts; with a tally if counted.

    Each entry is taken from the ledger.
    """
    for batch in batches:
        match ledger.pop(batch.id, None):
            case Counted(tally):
                yield batch, tally
            case Split(at):
                yield from planned(batch.parts(at), ledger)
            case _:
                yield batch, None


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
