"""What became of a batch's rows, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
