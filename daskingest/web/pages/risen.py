"""The words that rose of late over all publications, worked out beside the pages, and kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import NamedTuple

from daskingest.errors import StoreError
from daskingest.stores import Months, ReadableStore, Word
from daskingest.web.cloud import names
from daskingest.web.pages.reader import Reader
from daskingest.web.rising import LEAST, Rising, RisingWord, Windows, windows_of

_SHOWN = 20
_PUBLICATIONS, _WORDS = 100, 300  # that are looked at: the largest, and their most frequent words
_BILLED_PUBLICATIONS, _BILLED_WORDS = 5, 50
_FRESH_SECONDS, _FRESH_BILLED_SECONDS = 300.0, 6 * 3600.0
_WAIT_SECONDS = 0.3  # that a page waits for them, the first time

log = logging.getLogger(__name__)


class Risen(NamedTuple):
    """The words, of which months they are, out of how much, and when they were worked out."""

    words: list[RisingWord]
    months: dict[str, Months]
    """Of each word, its mentions by month of both windows, in those publications."""
    windows: Windows
    publications: int
    sampled: int
    """Words of each publication that were looked at, at most."""
    at: float

    least: int = LEAST
    """Mentions that a word has at least."""

    @property
    def minutes(self) -> int:
        """How old it is."""
        return int((time.monotonic() - self.at) / 60)

    @property
    def span(self) -> tuple[int, int]:
        """The first and last month that the words' pictures show."""
        return self.windows.before[0], self.windows.late[1]


class RisenWords:
    """Keeps the words that rose; works them out again, beside the pages, when there is more."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._kept: Risen | None = None
        self._of: int | None = None
        self._looked = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def working(self) -> bool:
        """Whether they are being worked out."""
        return self._task is not None and not self._task.done()

    async def current(self, articles: int) -> Risen | None:
        """The words as they were last worked out; None if they were not, or there are no months.

        `articles` is how many there are now: as long as there are no more, nothing has changed.
        """
        fresh = _FRESH_BILLED_SECONDS if self._reader.billed else _FRESH_SECONDS
        first = self._of is None
        due = first or time.monotonic() - self._looked > fresh
        if due and articles != self._of and not self.working:
            self._of, self._looked = articles, time.monotonic()
            self._task = asyncio.create_task(self._work())
        if first and self._task is not None:
            await asyncio.wait([self._task], timeout=_WAIT_SECONDS)
        return self._kept

    async def _work(self) -> None:
        try:
            self._kept = await self._worked_out()
        except StoreError as error:
            log.warning("the words that rose can't be worked out: %s; trying again later", error)
            self._of = -1

    async def _worked_out(self) -> Risen | None:
        months = await self._reader.article_months()
        every: Counter[int] = Counter()
        for its in months.values():
            every.update(its)
        windows = windows_of(every)
        if windows is None:
            return None
        billed = self._reader.billed
        most, words = (_BILLED_PUBLICATIONS, _BILLED_WORDS) if billed else (_PUBLICATIONS, _WORDS)
        late = {key: windows.of(its)[0] for key, its in months.items() if all(windows.of(its))}
        largest = sorted(late, key=lambda key: (-late[key], key))[:most]
        rising = Rising(windows)
        for each in largest:
            started = time.monotonic()
            rising.add(months[each], await self._words_of(each, words))
            await asyncio.sleep(2 * (time.monotonic() - started))  # pages go first
        found = rising.most(_SHOWN)
        by_month = await self._months_of([each.word for each in found], largest, windows)
        return Risen(found, by_month, windows, len(largest), words, time.monotonic())

    async def _months_of(
        self, words: list[str], keys: list[str], windows: Windows
    ) -> dict[str, Months]:
        pairs = [(key, word) for word in words for key in keys]
        found = await self._reader.read(lambda store: store.word_months(pairs))
        sums: dict[str, Counter[int]] = {each: Counter() for each in words}
        for (_, word), months in found.items():
            sums[word].update(windows.of_both(months))
        return {word: dict(months) for word, months in sums.items()}

    async def _words_of(self, key: str, most: int) -> list[tuple[Word, Months]]:
        def look(store: ReadableStore) -> list[tuple[Word, Months]]:
            words = store.words(key, most)
            months = store.word_months([(key, each.word) for each in words])
            return [(each, months.get((key, each.word), {})) for each in names(words, most)]

        return await self._reader.read(look)
