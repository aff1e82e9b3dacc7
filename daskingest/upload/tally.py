"""What became of the rows of an upload."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class UploadTally:
    """Rows that are done, by outcome, in this run and in those that it continues.

    Rows are articles or rejects. The service has accepted all articles except those that it
    rejected and, in an open loop, those that were `missed`: temporarily refused, or not answered.
    """

    rows: int = 0
    articles: int = 0
    accepted: int = 0
    missed: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "rows": self.rows,
            "articles": self.articles,
            "accepted": self.accepted,
            "missed": self.missed,
            "rejected": dict(self.rejected.most_common()),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> UploadTally:
        """The inverse of `as_dict`."""
        return cls(**{**value, "rejected": Counter(value["rejected"])})
