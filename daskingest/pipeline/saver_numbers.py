"""Which savers are at work: of those in number, each has a place, and is replaced there."""

from __future__ import annotations

from collections.abc import Sequence

from daskingest.pipeline.batch import Batch


def place_of(shard: int, places: int) -> int:
    """The place of the saver that has a shard, of so many. A run may have another number of them
    than there are savers now."""
    return shard % places


class SaverNumbers:
    """The number of the saver in each place; None while it is being replaced."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers: list[int | None] = list(numbers)
        self._draining: set[int] = set()  # places

    @property
    def complete(self) -> bool:
        """Whether there is one in each place."""
        return None not in self._numbers

    @property
    def now(self) -> tuple[int | None, ...]:
        """All of them: who is given what is submitted now."""
        return tuple(self._numbers)

    def lost(self, number: int) -> int | None:
        """It is gone. Returns its place, unless it was replaced before."""
        if number not in self._numbers:
            return None
        place = self._numbers.index(number)
        self._numbers[place] = None
        return place

    def started(self, number: int, place: int) -> None:
        """There is another one in a place."""
        self._numbers[place] = number
        self._draining.discard(place)

    def drain(self, handed: Sequence[Batch]) -> list[int]:
        """Those that are to commit what they have now, of these batches: they are told so once."""
        awaited = {self.place_of(shard) for batch in handed for shard in batch.wanted}
        found = []
        for place in sorted(awaited - self._draining):
            if (number := self._numbers[place]) is not None:
                self._draining.add(place)
                found.append(number)
        return found

    def drained(self, place: int) -> None:
        """The one there has told what it has committed, though it may be not all that it had."""
        self._draining.discard(place)

    def of(self, shard: int) -> int | None:
        """The one that has a shard."""
        return self._numbers[self.place_of(shard)]

    def place_of(self, shard: int) -> int:
        """See `place_of`."""
        return place_of(shard, len(self._numbers))

    def at(self, places: Sequence[int], batch: Batch) -> list[int]:
        """The shards that a batch wants and savers in these places have."""
        return [shard for shard in batch.wanted if self.place_of(shard) in places]

    def gone(self, batch: Batch, then: Sequence[int | None]) -> list[int]:
        """The wanted shards whose savers are others than they were `then`, or are being replaced.

        Then nobody knows what became of what they were given.
        """
        places = range(len(self._numbers))
        changed = [p for p in places if then[p] is None or then[p] != self._numbers[p]]
        return self.at(changed, batch)
