"""What pages read from the store, cached for a short while."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Hashable
from dataclasses import replace
from typing import Generic, TypeVar

from daskingest.errors import UsageError
from daskingest.stores import Months, Publication, ReadableStore, Word
from daskingest.stores.periods import EVER, Period, WordMonths, months_within
from daskingest.stores.reading import find_publication
from daskingest.web.backend import Backend

SAMPLED = 1_000
"""Number of most frequent words that shares and comparisons are based on."""

FOLLOWED = 500
"""Number of most frequent words that are followed over time."""
LOOKED_AT = 1_000
"""Words, the most frequent ones of all times, among which those of some months are looked for: a
page has to be there at once. Downloads look at more."""

_CACHED = 50  # lists of words, of up to half a MB each
_FRESH_SECONDS = 5.0  # how old a list of publications or of words may be
_FRESH_BILLED_SECONDS = 60.0  # where reading is billed
_FRESH_MONTHS_SECONDS = 60.0  # of all publications' articles by month, which take a while to read

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TtlCache(Generic[K, V]):
    """Values by key, kept for some seconds; at most `size` of them, the newest."""

    def __init__(
        self, seconds: float, size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._size, self._clock = seconds, size, clock
        self._kept: dict[K, tuple[float, V]] = {}

    async def get(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        """The cached value, else one that is made now."""
        now = self._clock()
        if (kept := self._kept.get(key)) is not None and now - kept[0] < self._seconds:
            return kept[1]
        value = await make()
        self._kept.pop(key, None)
        self._kept[key] = now, value
        while len(self._kept) > self._size:
            del self._kept[next(iter(self._kept))]
        return value


class Reader:
    """Reads a backend's store for pages. All methods raise StoreError."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.billed = backend.billed
        fresh = _FRESH_BILLED_SECONDS if backend.billed else _FRESH_SECONDS
        self._publications: TtlCache[None, list[Publication]] = TtlCache(fresh, 1)
        self._months: TtlCache[None, dict[str, Months]] = TtlCache(_FRESH_MONTHS_SECONDS, 1)
        self._words: TtlCache[tuple[str, str], list[Word]] = TtlCache(fresh, _CACHED)
        self._within: TtlCache[tuple[str, str, Period], tuple[list[WordMonths], bool]]
        self._within = TtlCache(fresh, _CACHED)

    async def read(self, work: Callable[[ReadableStore], T]) -> T:
        """What `work` returns, called with the store on a reading thread."""
        return await self._backend.read(work)

    async def publications(self) -> list[Publication]:
        """All publications, by count descending; up to date, unless reading is billed."""
        if self.billed:
            return await self._publications.get(None, self._all_publications)
        return await self._all_publications()

    async def article_months(self) -> dict[str, Months]:
        """The articles by month, of those that have a date, by publication key; a minute old."""
        return await self._months.get(None, lambda: self.read(lambda store: store.article_months()))

    async def months_of(self, publications: Collection[Publication]) -> dict[str, Months]:
        """The same, of some publications; up to date, unless reading is billed."""
        keys = [each.key for each in publications]
        if self.billed:  # one reading of all, and then none for a while
            months = await self.article_months()
            return {key: months[key] for key in keys if key in months}

        def look(store: ReadableStore) -> dict[str, Months]:
            found: dict[str, Months] = {}
            for key in keys:
                found |= store.article_months(key)
            return found

        return await self.read(look)

    async def named(self, name: str) -> Publication:
        """The publication of this name. Raises UsageError, with similar names, if there is none."""
        if not name.strip():
            raise UsageError("no publication was named")
        return await self.read(lambda store: find_publication(store, name))

    async def most_frequent(
        self, publication: Publication, label: str = "", period: Period = EVER
    ) -> list[Word]:
        """Its SAMPLED most frequent words, under all labels or one, by count descending.

        Those of a period are FOLLOWED ones, and have no counts by label.
        """
        key = publication.key
        if period:
            found, _ = await self.words_over_time(publication, label, period)
            return [each.word for each in found]
        return await self._words.get(
            (key, label),
            lambda: self.read(lambda store: store.words(key, SAMPLED, None, label or None)),
        )

    async def words_over_time(
        self, publication: Publication, label: str = "", period: Period = EVER
    ) -> tuple[list[WordMonths], bool]:
        """Its FOLLOWED most frequent words in articles with a date of a period, by month.

        Also tells whether they are certain to be those, see `months_within`.
        """
        key = publication.key

        async def within() -> tuple[list[WordMonths], bool]:
            return await self.read(
                lambda store: months_within(
                    store, key, period, FOLLOWED, label or None, most_read=LOOKED_AT
                )
            )

        async def ever() -> tuple[list[WordMonths], bool]:
            words = (await self.most_frequent(publication, label))[:FOLLOWED]
            pairs = [(key, each.word) for each in words]
            months = await self.read(lambda store: store.word_months(pairs))
            found = [
                WordMonths(replace(each, count=sum(its.values())), its)
                for each in words
                if (its := months.get((key, each.word)))
            ]
            return sorted(found, key=lambda each: (-each.word.count, each.word.word)), True

        return await self._within.get((key, label, period), within if period else ever)

    async def _all_publications(self) -> list[Publication]:
        return await self.read(lambda store: store.publications())
