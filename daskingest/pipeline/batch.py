"""Batches: the rows that one task extracts, under an id that never changes."""

from __future__ import annotations

import asyncio
import itertools
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from daskingest.articles import Article, Reject
from daskingest.errors import DaskingestError
from daskingest.ledger import BatchId, Counted, Entry, Ledger, Split
from daskingest.shards import shard_of
from daskingest.sources.checksum import Kind
from daskingest.tally import Tally


class RowSource(Protocol):
    """Where a batch's rows come from. It is sent to the worker."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    @property
    def nbytes(self) -> int:
        """The bytes of memory that it takes here, which are few if a worker reads it elsewhere."""

    def rows(self) -> Iterator[Article | Reject]:
        """The rows, the same at every call."""


class Measure(NamedTuple):
    """How many rows a batch has, the bytes of their texts, and where the middle one is: after how
    many rows, of any shard, from the batch's first on."""

    rows: int
    size: int
    middle: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows [first, last) of a source. `only`: no more than that number of them are counted now.

    `checksum` is that of all the source's bytes, where they are those of a file. Where its run has
    several `shards`, it is what the `wanted` ones of them have of these rows. Under the id that
    its source gave it that may be any of them; under a shard's own it is what that one has.
    """

    id: BatchId
    source: RowSource
    first: int = 0
    last: int | None = None
    only: int | None = None
    checksum: str = ""
    shards: int = 1
    wanted: tuple[int, ...] = (0,)

    def rows(self) -> Iterator[Article | Reject]:
        """The rows [first, last), of all shards."""
        return itertools.islice(self.source.rows(), self.first, self.last)

    def has(self, row: Article | Reject) -> bool:
        """Whether one of those rows is the batch's."""
        return shard_of(row, self.shards) in self.wanted

    def in_shards(self, number: int) -> Batch:
        """The same in all of so many shards."""
        return replace(self, shards=number, wanted=tuple(range(number)))

    @property
    def is_shared(self) -> bool:
        """Whether the store has it in shards, each under an id of its own."""
        return self.shards > 1 and self.id == self.id.given

    def of_shard(self, shard: int) -> Batch:
        """What a shard has of it, under the id that the store has that by."""
        return replace(self, id=self.id.of_shard(shard), wanted=(shard,))

    def apart(self) -> list[Batch]:
        """What the store has of it, each under an id of its own."""
        return [self.of_shard(each) for each in self.wanted] if self.is_shared else [self]

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

    @property
    def share(self) -> int:
        """About how many of the source's bytes it has; all batches' add up to them."""
        return self.size * len(self.wanted) // self.shards

    def measure(self) -> Measure:
        """How many rows it has, and the rest of it, which takes reading them."""
        numbers, size = array("L"), 0
        for number, row in enumerate(self.rows()):
            if self.has(row):
                numbers.append(number)
                size += len(row.content.encode()) if isinstance(row, Article) else 0
        rows = len(numbers)
        return Measure(rows, size, numbers[rows // 2] if rows else 0)

    def parts(self, at: int) -> list[Batch]:
        """The parts of the batch, split before its row `first` + `at`, without what is not counted
        now."""
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

    Those in shards come apart where the ledger has something of a shard, or where there is a limit,
    before which each is cut. Each entry is taken from the ledger.
    """
    for batch in batches:
        if batch.is_shared:
            apart = batch.apart()
            if batch.only is None and not any(each.id in ledger for each in apart):
                yield batch, None
            else:
                yield from planned(apart, ledger)
            continue
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
