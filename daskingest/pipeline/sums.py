"""The sum of batches' counts, made beside the thread that takes them, in little memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from daskingest.grouping import grouped
from daskingest.ledger import BatchId, Entry
from daskingest.packed import CompressedCounts, PackedCounts, merged

_TOGETHER = 64 << 20  # bytes, decompressed, that are merged at a time, at most: some 250 batches

Batches = Mapping[BatchId, tuple[CompressedCounts, Entry]]


@dataclass(frozen=True, slots=True)
class _Sums:
    """Together the sum of the first so many batches: `came` and `nbytes` are what those and these
    take decompressed."""

    of: int = 0
    came: int = 0
    parts: tuple[PackedCounts, ...] = ()
    whole: PackedCounts = field(default_factory=PackedCounts)
    nbytes: int = 0

    def after(
        self, new: Sequence[CompressedCounts], parts: Sequence[PackedCounts], its: PackedCounts
    ) -> _Sums:
        """When the new ones are in these sums, too."""
        came = self.came + sum(each.nbytes for each in new)
        nbytes = its.nbytes + sum(each.nbytes for each in parts)
        return _Sums(self.of + len(new), came, tuple(parts), its, nbytes)


class Sum:
    """Of batches, to which one thread adds. They are merged some at a time, and those sums at the
    end; any thread may do both. When that fails, as without memory, the sums are what they were.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._came = self._asked = 0  # bytes, decompressed, of all; of those before the last turn
        self._sums = _Sums()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """At most what it has decompressed when all is merged. It becomes less by merging."""
        sums = self._sums
        return sums.nbytes + self._came - sums.came

    @property
    def is_behind(self) -> bool:
        """Whether more than is merged at a time waits for that."""
        return self._came - self._sums.came > _TOGETHER

    def comes(self, counts: CompressedCounts) -> None:
        """A batch with these counts is about to be added."""
        self._came += counts.nbytes

    def take_turn(self) -> bool:
        """Whether enough is new to `merge_some`. It is said once: who asks is to do it."""
        enough = self._came - self._asked >= _TOGETHER // 2
        self._asked = self._came if enough else self._asked
        return enough

    def merge_some(self) -> None:
        """Merge what is new by itself."""
        with self._lock:
            sums, new = self._sums, self._new()
            self._sums = sums.after(new, [*sums.parts, *in_parts(new)], sums.whole)

    def whole(self) -> PackedCounts:
        """The sum of all so far."""
        with self._lock:
            sums, new = self._sums, self._new()
            if sums.parts or new:
                whole = _total([sums.whole, *sums.parts, *in_parts(new)])
                self._sums = sums.after(new, (), whole)
            return self._sums.whole

    def _new(self) -> list[CompressedCounts]:
        every = list(self._batches.values())
        return [counts for counts, _ in islice(every, self._sums.of, None)]


def sum_of(counts: Iterable[CompressedCounts]) -> PackedCounts:
    """The sum of all, made in little memory."""
    return _total(list(in_parts(counts)))


def in_parts(counts: Iterable[CompressedCounts]) -> Iterator[PackedCounts]:
    """Together the sum of all: as much is merged at a time as needs little memory."""
    for some in grouped(counts, lambda each: each.nbytes, _TOGETHER):
        yield merged([each.decompressed() for each in some])


def _total(sums: Sequence[PackedCounts]) -> PackedCounts:
    """A sum that is alone needs not be merged once more."""
    several = [each for each in sums if each.size]
    return several[0] if len(several) == 1 else merged(several)
