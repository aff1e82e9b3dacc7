"""What a store knows of a time: the words of some months, and words from month to month."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from operator import itemgetter

from daskingest.errors import UsageError
from daskingest.months import month_named, month_text
from daskingest.stores import Months, Publication, ReadableStore, Word

MOST_READ = 20_000
"""Words that are looked at, the most frequent ones, to find those of some months."""

_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Period:
    """Months, from `first` to `last`, both of them included; None: without an end."""

    first: int | None = None
    last: int | None = None

    def __bool__(self) -> bool:
        return self.first is not None or self.last is not None

    def __contains__(self, month: int) -> bool:
        after = self.first is None or month >= self.first
        return after and (self.last is None or month <= self.last)

    def of(self, months: Months) -> Months:
        """Those months that are in it."""
        if not self:
            return dict(months)
        low = min(months, default=0) if self.first is None else self.first
        high = max(months, default=0) if self.last is None else self.last
        return {month: count for month, count in months.items() if low <= month <= high}


EVER = Period()
"""All months."""


def period_of(since: str | None, until: str | None, ordered: bool = True) -> Period:
    """The period from one month to another, written `2016-06`.

    Raises UsageError if that is no month, or if they are to be `ordered` and are not: otherwise
    nothing is in the period.
    """
    first, last = (_month(name, text) for name, text in (("since", since), ("until", until)))
    if ordered and first is not None and last is not None and first > last:
        raise UsageError(f"since {month_text(first)} is after until {month_text(last)}")
    return Period(first, last)


def _month(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if (month := month_named(text)) is None:
        raise UsageError(f"{name}: expected a month such as 2016-06, found {text[:40]!r}")
    return month


@dataclass(frozen=True, slots=True)
class WordMonths:
    """A word, counted in a period, and its mentions by month there."""

    word: Word
    months: Months


def months_within(
    store: ReadableStore,
    publication: str,
    period: Period,
    limit: int,
    label: str | None = None,
    most_read: int = MOST_READ,
) -> tuple[list[WordMonths], bool]:
    """A publication's most frequent words of a period, by count descending, then word.

    Only articles with a date count, and the counts are those of the period, without labels, which
    are not kept by month: with a `label`, words that have it at any time.

    Also tells whether that is certain: with few mentions in the period, more words would have to be
    looked at than `most_read`.
    """
    found: list[tuple[int, str, Word, Months]] = []
    after, read, certain, size = None, 0, False, min(_PAGE, most_read)
    while not certain and read < most_read and (page := store.words(publication, size, after)):
        read += len(page)
        after = page[-1].count, page[-1].word
        every = store.word_months([(publication, each.word) for each in page])
        for each in page:
            months = period.of(every.get((publication, each.word), {}))
            count = sum(months.values())
            if count and (label is None or label in each.labels):
                found.append((-count, each.word, each, months))
        found = heapq.nsmallest(limit, found, key=itemgetter(0, 1))
        # No word has more mentions in a period than in all.
        certain = len(page) < size or (len(found) == limit and -found[-1][0] > after[0])
    within = [
        WordMonths(replace(each, count=-count, labels={}), months)
        for count, _, each, months in found
    ]
    return within, certain or read < most_read


def words_within(
    store: ReadableStore, publication: str, period: Period, limit: int, label: str | None = None
) -> tuple[list[Word], bool]:
    """The words that `months_within` finds, and whether that is certain."""
    found, certain = months_within(store, publication, period, limit, label)
    return [each.word for each in found], certain


@dataclass(frozen=True, slots=True)
class Trend:
    """A word in a publication, by month: its mentions, and the publication's articles."""

    publication: Publication
    word: Word
    mentions: Months
    articles: Months

    def to_json(self) -> dict[str, object]:
        """The trend as a JSON object."""
        return {
            "word": self.word.word,
            "name": self.word.name,
            "publication": self.publication.name,
            **self.word.aliases_json(),
            "months": [
                {
                    "month": month_text(month),
                    "count": self.mentions.get(month, 0),
                    "articles": self.articles[month],
                }
                for month in sorted(self.articles)
            ],
        }

    def rates(self, step: int = 1) -> dict[int, float]:
        """Mentions per 1,000 articles, for each month that has articles, in order.

        With a `step`, for so many months together, by the first of them: 3, quarters, or 12, years.
        """
        return rates_of(self.mentions, self.articles, step)


def rates_of(mentions: Months, articles: Months, step: int = 1) -> dict[int, float]:
    """See `Trend.rates`."""
    mentions, articles = stepped(mentions, step), stepped(articles, step)
    return {
        month: 1000 * mentions.get(month, 0) / count
        for month, count in sorted(articles.items())
        if count
    }


def trends_of(
    store: ReadableStore,
    words: Collection[str],
    publications: Iterable[Publication],
    period: Period = EVER,
) -> list[Trend]:
    """How often each word is mentioned in each publication that has it, month by month.

    By word, as given, then by mentions in the period, descending. Words that are counted as one
    have the same trend, once.
    """
    by_key = {each.key: each for each in publications}
    words = list(dict.fromkeys(map(store.counted_as, words)))
    pairs = [(key, word) for word in words for key in by_key]
    found, months = store.find_words(pairs), store.word_months(pairs)
    articles = store.article_months(next(iter(by_key)) if len(by_key) == 1 else None)
    trends = [
        Trend(
            by_key[key],
            its,
            period.of(months.get((key, word), {})),
            period.of(articles.get(key, {})),
        )
        for (key, word), its in found.items()
    ]
    order = {word: place for place, word in enumerate(words)}
    return sorted(
        trends,
        key=lambda each: (
            order[each.word.word],
            -sum(each.mentions.values()),
            each.publication.key,
        ),
    )


def stepped(months: Months, step: int) -> Months:
    """The counts of so many months together, by the first of them."""
    return added({month // step * step: count} for month, count in months.items())


def added(every: Iterable[Months]) -> Months:
    """The counts of all of them together, by month, in order."""
    found: Months = {}
    for months in every:
        for month, count in months.items():
            found[month] = found.get(month, 0) + count
    return dict(sorted(found.items()))
