"""Which savers are at work: of those in number, each has a place, and is replaced there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daskingest.pipeline.batch import Batch
from daskingest.pipeline.jobs import Job


def place_of(shard: int, places: int) -> int:
    """The place of the saver that has a shard, of so many. A run may have another number of them
    than there are savers now."""
    return shard % places


class SaverNumbers:
    """The number of the saver in each place; None while it is being replaced."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.now: tuple[int | None, ...] = tuple(numbers)
        """All of them: who is given what is submitted now."""
        self._draining: set[int] = set()  # places

    @property
    def complete(self) -> bool:
        """Whether there is one in each place."""
        return None not in self.now

    @property
    def draining(self) -> bool:
        """Whether one was told to commit what it has, and has told nothing since."""
        return bool(self._draining)

    def lost(self, number: int) -> int | None:
        """It is gone. Returns its place, unless it was replaced before."""
        if number not in self.now:
            return None
        place = self.now.index(number)
        self._put(place, None)
        return place

    def started(self, number: int, place: int) -> None:
        """There is another one in a place."""
        self._put(place, number)
        self._draining.discard(place)

    def drain(self, handed: Iterable[Job]) -> list[int]:
        """Those that are to commit what they have now, of these batches: they are told so once."""
        awaited, found = set[int](), list[int]()
        for job in handed:
            awaited.update(map(self.place_of, job.batch.wanted))
            if len(awaited) == len(self.now):
                break  # the first batch tells all of them, mostly
        for place in sorted(awaited - self._draining):
            if (number := self.now[place]) is not None:
                self._draining.add(place)
                found.append(number)
        return found

    def drained(self, place: int) -> None:
        """The one there has told what it has committed, though it may be not all that it had."""
        self._draining.discard(place)

    def of(self, shard: int) -> int | None:
        """The one that has a shard."""
        return self.now[self.place_of(shard)]

    def place_of(self, shard: int) -> int:
        """See `place_of`."""
        return place_of(shard, len(self.now))

    def at(self, places: Sequence[int], batch: Batch) -> list[int]:
        """The shards that a batch wants and savers in these places have."""
        return [shard for shard in batch.wanted if self.place_of(shard) in places]

    def gone(self, batch: Batch, then: Sequence[int | None]) -> list[int]:
        """The wanted shards whose savers are others than they were `then`, or are being replaced.

        Then nobody knows what became of what they were given.
        """
        if then == self.now and self.complete:
            return []
        pairs = zip(then, self.now, strict=True)
        changed = [place for place, (a, b) in enumerate(pairs) if a is None or a != b]
        return self.at(changed, batch)

    def _put(self, place: int, number: int | None) -> None:
        self.now = (*self.now[:place], number, *self.now[place + 1 :])
