"""The results of a batch: Counts by publication, and a Tally of what became of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daskingest.articles import publication_key
from daskingest.text import fold_space

MAX_WORD = 256
"""Longest word that is counted, in characters."""

SKIPPED_LABELS = frozenset({"CARDINAL", "MONEY", "ORDINAL", "DATE", "TIME"})
"""Labels that are not counted: numbers and dates tell little about a publication."""


def word_of(text: str) -> str:
    """The word that an entity's text is counted as; may be empty or too long to count."""
    return fold_space(text).lower()


@dataclass(slots=True)
class PublicationCounts:
    """One publication's number of articles, and how often each (word, label) occurred."""

    name: str
    articles: int = 0
    words: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(slots=True)
class Counts:
    """Counts by publication key. Merging is commutative, except that the first name is kept."""

    publications: dict[str, PublicationCounts] = field(default_factory=dict)

    def add_article(self, publication: str, words: Iterable[tuple[str, str]]) -> None:
        """Count one article of `publication` (a display name) with its (word, label) pairs."""
        mine = self._of(publication_key(publication), publication)
        mine.articles += 1
        mine.words.update(words)

    def merge(self, other: Counts) -> None:
        """Add `other` to these counts."""
        for key, theirs in other.publications.items():
            mine = self._of(key, theirs.name)
            mine.articles += theirs.articles
            mine.words.update(theirs.words)

    @property
    def size(self) -> int:
        """The number of counters, which determines the size of a commit."""
        return sum(1 + len(each.words) for each in self.publications.values())

    def _of(self, key: str, name: str) -> PublicationCounts:
        return self.publications.setdefault(key, PublicationCounts(name))


@dataclass(slots=True)
class Tally:
    """What became of a batch's rows: every row is an article or a reject.

    `text_words` is the number of words in the articles' texts (runs of non-space characters),
    `entities` the number of entities counted, `dropped` the number whose text was too long to
    count. `failed` has, by row, the reason of each reject that reading alone would not find again:
    the rejects of extraction.
    """

    rows: int = 0
    articles: int = 0
    text_words: int = 0
    entities: int = 0
    dropped: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)

    def merge(self, other: Tally) -> None:
        """Add the numbers of `other`; `failed` is about the rows of one batch and is not merged."""
        self.rows += other.rows
        self.articles += other.articles
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
            text_words=value.get("words", 0),
            entities=value.get("entities", 0),
            dropped=value.get("dropped", 0),
            rejected=Counter(value.get("rejected", {})),
            failed={int(row): reason for row, reason in value.get("failed", {}).items()},
        )
