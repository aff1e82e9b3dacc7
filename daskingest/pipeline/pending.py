"""What a saver has in memory: batches that wait for a commit, and what was committed.

Nothing here waits or knows a clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from daskingest.ledger import BatchId, Entry, Ledger
from daskingest.packed import CompressedCounts
from daskingest.pipeline.sums import Sum

_LEAST_PENDING, _MOST_PENDING = 384 << 20, 3 << 30  # bytes
_BATCH = 4096  # bytes that a batch takes besides its counts

_REST, _LONGEST_REST = 9, 60.0
"""After a commit there is a rest of so many times its duration, and of at most so many seconds.

In a large store a commit costs as much for each page that it changes as for each counter. A few
batches change nearly as many pages as many do: so the longer it takes, the more it is given.
"""


class Refusal(Enum):
    """Why a batch that stands alone is in no commit."""

    TOO_LARGE = "it is too large for one commit of the store"
    INVALID = "the store does not take what is in it"


class Commit(NamedTuple):
    """How long a commit took, and how many rows or documents it wrote."""

    seconds: float
    writes: int


@dataclass(frozen=True, slots=True)
class Report:
    """The saver's report to the driver: the batches that the store has, with their entries.

    `next` is the cursor to ask with for what comes after; `refused` are batches that are too large
    for one commit of the store, `invalid` those that it does not take at all; `trouble` says what
    keeps the saver from committing, if anything does; `commits` are those since the last report.
    """

    committed: Ledger
    next: int
    refused: tuple[BatchId, ...] = ()
    invalid: tuple[BatchId, ...] = ()
    trouble: str = ""
    commits: tuple[Commit, ...] = ()


@dataclass(slots=True)
class Flush:
    """Batches for one commit, and the sum of their counts. When `closed`, it takes no more."""

    since: float
    batches: dict[BatchId, tuple[CompressedCounts, Entry]] = field(default_factory=dict)
    closed: bool = False
    size: int = 0
    """At least as many counters as the batches have together."""
    nbytes: int = 0
    """What it takes at most: its batches, which may be committed in parts, and their sum."""
    sum: Sum = field(init=False)
    _waiting: int = 0  # bytes, of the batches

    def __post_init__(self) -> None:
        self.sum = Sum(self.batches)

    def add(self, batch_id: BatchId, counts: CompressedCounts, entry: Entry, limit: int) -> None:
        """Take a batch. The flush is closed when it has `limit` counters."""
        self.size += counts.size
        self._waiting += len(counts.data) + _BATCH
        self.sum.comes(counts)
        self.nbytes = max(self.nbytes, self._waiting + self.sum.nbytes)
        self.batches[batch_id] = counts, entry  # all of it or nothing: what is here is summed
        if self.size >= limit:
            before = self.size
            self.size = self.sum.whole().size
            # Batches have words in common: merge again and again, while that makes room.
            self.closed = self.size >= limit or self.size > 0.9 * before


def rest_after(seconds: float) -> float:
    """How many seconds to gather for, at least, after a commit that took so many."""
    return min(_REST * seconds, _LONGEST_REST)


def most_pending(free: int, limit: int | None = None) -> int:
    """How many bytes may wait, in all batches: a sixth of the free memory, and a fourth of the
    process's limit if it has one, but from 384 MiB to 3 GiB.

    Half of them are in a commit at most, and large commits into a large store cost less. A batch of
    5,400 counters has some 80 KB as it came, compressed, and 115 as its part of the sums, which are
    not; with months 115 and 285. Merging them takes three times as much again as the sums, and the
    store's cache is besides.
    """
    room = min(free // 6, (limit or free) // 4)
    return min(max(room, _LEAST_PENDING), _MOST_PENDING)


class Pending:
    """Batches that wait to be committed, grouped into flushes, oldest first."""

    def __init__(self, most: int = _LEAST_PENDING) -> None:
        self.most = most  # bytes
        self._size = 0  # bytes
        self._rested = 0.0  # when the rest after the last commit ends
        self._flushes: deque[Flush] = deque()
        self._ids: dict[BatchId, None] = {}

    def __contains__(self, batch_id: BatchId) -> bool:
        return batch_id in self._ids

    def __iter__(self) -> Iterator[BatchId]:
        return iter(self._ids)

    @property
    def full(self) -> bool:
        """Whether as much is pending as memory allows."""
        return self._size >= self.most

    @property
    def has_room(self) -> bool:
        """Whether more may come. Not while much of a flush is unmerged: that is measured as more
        than it becomes, and the flush would be closed early."""
        open_now = [each for each in self._flushes if not each.closed]
        return not self.full and not any(each.sum.is_behind for each in open_now)

    @property
    def first(self) -> Flush | None:
        """The flush to commit next."""
        return self._flushes[0] if self._flushes else None

    def add(
        self, batch_id: BatchId, counts: CompressedCounts, entry: Entry, limit: int, now: float
    ) -> Flush:
        """Add a batch to the last flush, which is closed when it has `limit` counters. Returns
        that flush."""
        if not self._flushes or self._flushes[-1].closed:
            self._flushes.append(Flush(now))
        flush = self._flushes[-1]
        before = flush.nbytes
        flush.add(batch_id, counts, entry, limit)
        self._ids[batch_id] = None
        self._size += flush.nbytes - before
        # Of this flush alone: else, as long as all is full, flushes would be of a few batches.
        flush.closed |= flush.nbytes >= self.most // 2
        return flush

    def remove_first(self, started: float, seconds: float) -> None:
        """Remove the first flush: it is committed, which was started then and took so long."""
        self._rested = started + seconds + rest_after(seconds)
        first = self._flushes.popleft()
        self._size -= first.nbytes
        for batch_id in first.batches:
            del self._ids[batch_id]

    def seconds_left(self, interval: float, now: float) -> float | None:
        """Seconds until the first flush is due: when it is full, or `interval` after its start, but
        not before the last commit's rest has ended. None without one.
        """
        first = self.first
        if first is None:
            return None
        return 0.0 if first.closed else max(first.since + interval, self._rested) - now


class News:
    """What the driver has not been told yet, as far as is known.

    A report is repeated until the driver acknowledges it, so a report that gets lost is not missed.
    """

    def __init__(self) -> None:
        self._news: list[tuple[BatchId, Entry | Refusal]] = []
        self._told = 0  # how many the driver has had, and are no longer kept
        self._commits: list[Commit] = []

    def __bool__(self) -> bool:
        return bool(self._news)

    def add(self, entries: Mapping[BatchId, Entry | Refusal], commit: Commit) -> None:
        """A commit is through: the entries that the ledger has now, and what was refused."""
        self._news += entries.items()
        self._commits.append(commit)

    def acknowledge(self, cursor: int) -> None:
        """Drop the news that the driver has received: the report with this cursor."""
        if cursor > self._told:
            del self._news[: cursor - self._told]
            self._told = cursor

    def report(self, trouble: str) -> Report:
        """A report of all news. Commits are reported only once."""
        commits = tuple(self._commits)
        self._commits.clear()
        return Report(
            committed={each: entry for each, entry in self._news if not isinstance(entry, Refusal)},
            next=self._told + len(self._news),
            refused=tuple(each for each, entry in self._news if entry is Refusal.TOO_LARGE),
            invalid=tuple(each for each, entry in self._news if entry is Refusal.INVALID),
            trouble=trouble,
            commits=commits,
        )
