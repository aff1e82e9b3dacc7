"""The sum of batches' counts, made beside the thread that takes them, in little memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from daskingest.grouping import grouped
from daskingest.packed import CompressedCounts, PackedCounts, merged

_TOGETHER = 64 << 20  # bytes, decompressed, that are merged at a time, at most: some 250 batches


@dataclass(slots=True)
class Sum:
    """Of counts that one thread adds. They are merged some at a time, and those sums at the end.

    Any thread may merge. When that fails, as without memory, what was not merged still is not.
    """

    _added: list[CompressedCounts] = field(default_factory=list)
    _of: int = 0  # of the first so many of them are these sums
    _sums: list[CompressedCounts] = field(default_factory=list)
    _whole: PackedCounts = field(default_factory=PackedCounts)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    # Bytes: of all as they came; decompressed, of which some are merged, or will be; of the sums.
    _waiting: int = 0
    _came: int = 0
    _merged: int = 0
    _to_merge: int = 0
    _summed: int = 0

    @property
    def nbytes(self) -> int:
        """What is in memory, and at most what will be when all is merged."""
        return self._waiting + self._summed + self._came - self._merged

    def add(self, counts: CompressedCounts) -> None:
        """Add counts."""
        self._added.append(counts)
        self._waiting += len(counts.data)
        self._came += counts.decompressed_nbytes

    def is_to_merge(self) -> bool:
        """Whether `merge` has much to do. Says so once."""
        much = self._came - self._to_merge >= _TOGETHER // 2
        self._to_merge = self._came if much else self._to_merge
        return much

    def merge(self) -> None:
        """Merge what is not merged yet, by itself."""
        with self._lock:
            new = self._added[self._of :]
            self._sums = [*self._sums, *(CompressedCounts.of(each) for each in sums(new))]
            self._have_merged(new)

    def merged(self) -> PackedCounts:
        """The sum of all so far."""
        with self._lock:
            new = self._added[self._of :]
            if parts := [*(each.decompressed() for each in self._sums), *sums(new)]:
                self._whole = merged([self._whole, *parts])
                self._sums = []
                self._have_merged(new)
            return self._whole

    def _have_merged(self, new: Sequence[CompressedCounts]) -> None:
        self._of += len(new)
        self._merged += sum(each.decompressed_nbytes for each in new)
        self._summed = self._whole.nbytes + sum(len(each.data) for each in self._sums)


def sums(counts: Iterable[CompressedCounts]) -> Iterator[PackedCounts]:
    """Together the sum of all, in parts: as much is merged at a time as needs little memory."""
    for some in grouped(counts, lambda each: each.decompressed_nbytes, _TOGETHER):
        yield merged([each.decompressed() for each in some])
