"""Counts by publication: the results of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from operator import itemgetter

from daskingest.articles import publication_key
from daskingest.packed import PackedCounts, PackedPublication, pack
from daskingest.spelling import spelling_of

SKIPPED_LABELS = frozenset({"CARDINAL", "MONEY", "ORDINAL", "DATE", "TIME"})
"""Labels that are not counted: numbers and dates tell little about a publication."""


@dataclass(slots=True)
class PublicationCounts:
    """One publication's number of articles, and how often each (word, label) occurred.

    `spellings` says how words are written, those that have capitals, where they came first.

    `article_months` and `months` have the same of articles with a date, the latter by (word,
    month). A month is its number, counted from January 1970, which is 0.
    """

    name: str
    articles: int = 0
    words: Counter[tuple[str, str]] = field(default_factory=Counter)
    article_months: Counter[int] = field(default_factory=Counter)
    months: Counter[tuple[str, int]] = field(default_factory=Counter)
    spellings: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Counts:
    """Counts by publication key, article by article."""

    publications: dict[str, PublicationCounts] = field(default_factory=dict)

    def add_article(
        self, publication: str, entities: Iterable[tuple[str, str]], month: int | None = None
    ) -> None:
        """Count one article of `publication` (a display name) with its entities: (name, label).

        Of a publication, and of each word in it, the first name is kept.
        """
        key = publication_key(publication)
        mine = self.publications.get(key)
        if mine is None:
            mine = self.publications[key] = PublicationCounts(publication)
        mine.articles += 1
        words = []
        for name, label in entities:
            word = name.lower()
            words.append((word, label))
            if word not in mine.spellings:
                mine.spellings[word] = spelling_of(name, word)
        mine.words.update(words)
        if month is not None:
            mine.article_months[month] += 1
            mine.months.update(zip(map(itemgetter(0), words), repeat(month), strict=False))

    def packed(self) -> PackedCounts:
        """The same counts as they travel and are stored. Raises UnicodeEncodeError."""
        publications = sorted(self.publications.items())
        several = [each for _, each in publications]
        return pack(
            [
                PackedPublication(key, each.name, each.articles, dict(each.article_months))
                for key, each in publications
            ],
            [each.words for each in several],
            [each.months for each in several],
            [each.spellings for each in several],
        )
