"""Words that rose: mentioned more of late than before, publication by publication."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from daskingest.stores import Months, Word

LATE, BEFORE = 3, 12
"""Months that are looked at, and those before them that they are compared with, at most."""

LEAST = 10
"""Mentions of late that a word must have."""

_LEAST_RATIO = 1.5
_PRIOR = 5.0  # mentions added to what was found and to what was expected: see `ratio`
_STRAY = 1000  # one article in so many may have a date after all others': a wrong one


@dataclass(frozen=True, slots=True)
class Windows:
    """The months of late, and the months before: each by its first and last one."""

    late: tuple[int, int]
    before: tuple[int, int]

    def of(self, months: Mapping[int, int]) -> tuple[int, int]:
        """What is counted of late, and before."""
        return _within(months, self.late), _within(months, self.before)

    def of_both(self, months: Mapping[int, int]) -> Months:
        """Those months that are in one of them."""
        first, last = self.before[0], self.late[1]
        return {month: count for month, count in months.items() if first <= month <= last}


def windows_of(articles: Mapping[int, int]) -> Windows | None:
    """What to compare, in articles by month; None if they are of less than two months.

    It ends with the last month that has articles, but for few with dates after all others'.
    """
    total, seen, last = sum(articles.values()), 0, None
    for last in sorted(articles, reverse=True):
        seen += articles[last]
        if seen * _STRAY >= total:
            break
    if last is None or (span := last - min(articles) + 1) < 2:
        return None
    late = max(1, min(LATE, span // 5))
    first = last - late + 1
    return Windows((first, last), (max(first - BEFORE, min(articles)), first - 1))


@dataclass(frozen=True, slots=True)
class RisingWord:
    """A word that rose.

    `count` is how often it is mentioned of late, `expected` how often it would be, were it in every
    publication mentioned in each article as often as before.
    """

    word: str
    name: str
    count: int
    expected: float
    z: float

    @property
    def ratio(self) -> float:
        """How many times as often as expected; drawn towards 1 where the numbers are small."""
        return (self.count + _PRIOR) / (self.expected + _PRIOR)


@dataclass(slots=True)
class _Sum:
    """What is known of a word, over publications."""

    name: str
    count: int = 0
    expected: float = 0.0
    surprise: float = 0.0
    variance: float = 0.0


@dataclass(slots=True)
class Rising:
    """Gathers the words of publications, one publication after the other.

    Take a publication that has articles in both windows, and a word with t mentions in them. If
    nothing changed, each is of late with the probability q, the share that articles of late have in
    the publication's articles of both windows. Over publications, mentions of late have the mean
    sum(t q) and the variance sum(t q (1 - q)), and z is their distance from that mean in standard
    deviations (Cochran, Mantel and Haenszel's statistic, of rates). So a publication that publishes
    more, or that is new, makes no word rise. Mentions in one article are counted as if they were
    independent, which makes z larger than it is: it orders words, and is no test.
    """

    windows: Windows
    _sums: dict[str, _Sum] = field(default_factory=dict)

    def add(self, articles: Months, words: Iterable[tuple[Word, Months]]) -> None:
        """A publication's articles by month, and some of its words with their mentions."""
        late, before = self.windows.of(articles)
        if not late or not before:
            return
        share = late / (late + before)
        for word, months in words:
            count, earlier = self.windows.of(months)
            its = self._sums.setdefault(word.word, _Sum(word.name))
            its.count += count
            its.expected += earlier * late / before
            its.surprise += count - (count + earlier) * share
            its.variance += (count + earlier) * share * (1 - share)

    def most(self, limit: int) -> list[RisingWord]:
        """Those words that rose most, by z descending."""
        found = [
            RisingWord(
                word, its.name, its.count, its.expected, its.surprise / math.sqrt(its.variance)
            )
            for word, its in self._sums.items()
            if its.count >= LEAST
        ]
        found = [each for each in found if each.z > 0 and each.ratio >= _LEAST_RATIO]
        return sorted(found, key=lambda each: (-each.z, each.word))[:limit]


def _within(months: Mapping[int, int], window: tuple[int, int]) -> int:
    first, last = window
    return sum(count for month, count in months.items() if first <= month <= last)
