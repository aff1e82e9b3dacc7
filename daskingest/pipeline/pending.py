"""The state of a saver: pending batches, news for the driver, and batches to be forgotten.

Nothing here waits or knows a clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Entry, Ledger

MOST_PENDING = 1_000_000  # counters in all pending batches; about 200 MB
_REMEMBERED = 100_000  # forgotten batches, to recognise late copies


class Commit(NamedTuple):
    """How long a commit took, and how many rows or documents it wrote."""

    seconds: float
    writes: int


@dataclass(frozen=True, slots=True)
class Report:
    """The saver's report to the driver: the batches that the store has, with their entries.

    `next` is the cursor for the next report; `refused` are batches that are too large for one
    commit of the store; `trouble` says what keeps the saver from committing, if anything does;
    `commits` are the commits since the last report.
    """

    committed: Ledger
    next: int
    refused: tuple[BatchId, ...] = ()
    trouble: str = ""
    commits: tuple[Commit, ...] = ()


@dataclass(slots=True)
class Flush:
    """Batches for one commit, and their merged counts. When `closed`, it takes no more batches."""

    since: float
    merged: Counts = field(default_factory=Counts)
    batches: dict[BatchId, tuple[Counts, Entry]] = field(default_factory=dict)
    closed: bool = False


class Pending:
    """Batches that wait to be committed, grouped into flushes, oldest first."""

    def __init__(self, most: int = MOST_PENDING) -> None:
        self.most = most
        self.size = 0
        self._flushes: deque[Flush] = deque()
        self._sizes: dict[BatchId, int] = {}

    def __contains__(self, batch_id: BatchId) -> bool:
        return batch_id in self._sizes

    def __iter__(self) -> Iterator[BatchId]:
        return iter(self._sizes)

    @property
    def full(self) -> bool:
        """Whether as many counters are pending as memory allows."""
        return self.size >= self.most

    @property
    def first(self) -> Flush | None:
        """The flush to commit next."""
        return self._flushes[0] if self._flushes else None

    def add(self, batch_id: BatchId, counts: Counts, entry: Entry, limit: int, now: float) -> None:
        """Add a batch to the last flush, which is closed when it has `limit` counters."""
        if not self._flushes or self._flushes[-1].closed:
            self._flushes.append(Flush(now))
        flush = self._flushes[-1]
        flush.batches[batch_id] = counts, entry
        flush.merged.merge(counts)
        self._sizes[batch_id] = counts.size + 1
        self.size += counts.size + 1
        flush.closed = flush.merged.size >= limit or self.size >= self.most // 2

    def remove_first(self) -> None:
        """Remove the first flush: it is committed."""
        for batch_id in self._flushes.popleft().batches:
            self.size -= self._sizes.pop(batch_id)

    def seconds_left(self, interval: float, now: float) -> float | None:
        """Seconds until the first flush is due, `interval` after its start; None without one."""
        first = self.first
        if first is None:
            return None
        return 0.0 if first.closed else first.since + interval - now


class News:
    """What the driver has not been told yet, as far as is known.

    A report is repeated until the driver acknowledges it, so a report that gets lost is not missed.
    """

    def __init__(self) -> None:
        self._news: list[tuple[BatchId, Entry | None]] = []  # None: refused
        self._told = 0  # how many were acknowledged and dropped
        self._commits: list[Commit] = []

    def __bool__(self) -> bool:
        return bool(self._news)

    def add(self, entries: Mapping[BatchId, Entry | None], commit: Commit) -> None:
        """Add a commit: the entries that the ledger now has; None for refused batches."""
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
            committed={each: entry for each, entry in self._news if entry is not None},
            next=self._told + len(self._news),
            refused=tuple(each for each, entry in self._news if entry is None),
            trouble=trouble,
            commits=commits,
        )


class Forgetting:
    """Batches that will be removed from the ledger, and those that were recently.

    They stay in the ledger as long as a commit requested by a dead saver may still be made. They
    are remembered for longer, until too many others have been forgotten since, to recognise a late
    copy from a worker that was given up.
    """

    def __init__(self) -> None:
        self._asked: dict[BatchId, float] = {}  # with the time of the request
        self._gone: dict[BatchId, None] = {}  # oldest first

    def ask(self, batch_ids: Collection[BatchId], now: float) -> None:
        """Have these batches and their parts forgotten when it is time."""
        self._asked.update(dict.fromkeys(batch_ids, now))
        self._gone.update(dict.fromkeys(batch_ids))
        while len(self._gone) > _REMEMBERED:
            del self._gone[next(iter(self._gone))]

    def is_gone(self, batch_id: BatchId) -> bool:
        """Whether it was forgotten, or will be: a copy of it must not be counted."""
        return batch_id.whole in self._gone

    def seconds_left(self, settled_after: float, now: float) -> float | None:
        """Seconds until the first one is due; None if there is none."""
        return min(self._asked.values()) + settled_after - now if self._asked else None

    def take_due(
        self, pending: Iterable[BatchId], settled_after: float, now: float
    ) -> list[BatchId]:
        """Those that may leave the ledger now, as no late copy of them is pending."""
        waiting = {batch_id.whole for batch_id in pending} if self._asked else set()
        due = [
            batch_id
            for batch_id, asked in self._asked.items()
            if asked + settled_after <= now and batch_id not in waiting
        ]
        for batch_id in due:
            del self._asked[batch_id]
        return due
