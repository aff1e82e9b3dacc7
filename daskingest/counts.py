"""The results of a batch: Counts by publication, and a Tally of what became of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from operator import itemgetter
from typing import Any

from daskingest.articles import publication_key
from daskingest.packed import PackedCounts, PackedPublication, pack
from daskingest.spelling import spelling_of
from daskingest.text import fold_space

MAX_WORD = 256
"""Longest word that is counted, in characters."""

SKIPPED_LABELS = frozenset({"CARDINAL", "MONEY", "ORDINAL", "DATE", "TIME"})
"""Labels that are not counted: numbers and dates tell little about a publication."""


def word_of(text: str) -> str:
    """The word that an entity's text is counted as; may be empty or too long to count.

    It is the text's lower case; the text in one line is its name.
    """
    return fold_space(text).lower()


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


@dataclass(slots=True)
class Tally:
    """What became of a batch's rows: every row is an article or a reject.

    `dated` is the number of articles that have a date, `text_words` that of words in the articles'
    texts (runs of non-space characters), `entities` that of entities counted, `dropped` that of
    those whose text was too long to count. `failed` has, by row, the reason of each reject that
    reading alone would not find again: the rejects of extraction.
    """

    rows: int = 0
    articles: int = 0
    dated: int = 0
    text_words: int = 0
    entities: int = 0
    dropped: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)

    def merge(self, other: Tally) -> None:
        """Add the numbers of `other`; `failed` is about the rows of one batch and is not merged."""
        self.rows += other.rows
        self.articles += other.articles
        self.dated += other.dated
        self.text_words += other.text_words
        self.entities += other.entities
        self.dropped += other.dropped
        self.rejected.update(other.rejected)

    def reject(self, row: int, reason: str) -> None:
        """Note that extraction could not take the article in `row`."""
        self.rejected[reason] += 1
        self.failed[row] = reason

    def to_json(self) -> dict[str, Any]:
        """The tally as a JSON object, without zeros."""
        value = {
            "rows": self.rows,
            "articles": self.articles,
            "dated": self.dated,
            "words": self.text_words,
            "entities": self.entities,
            "dropped": self.dropped,
            "rejected": dict(self.rejected),
            "failed": {str(row): reason for row, reason in self.failed.items()},
        }
        return {key: each for key, each in value.items() if each}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Tally:
        """The tally in such an object."""
        return cls(
            rows=value.get("rows", 0),
            articles=value.get("articles", 0),
            dated=value.get("dated", 0),
            text_words=value.get("words", 0),
            entities=value.get("entities", 0),
            dropped=value.get("dropped", 0),
            rejected=Counter(value.get("rejected", {})),
            failed={int(row): reason for row, reason in value.get("failed", {}).items()},
        )
