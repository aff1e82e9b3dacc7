"""What became of the rows of an upload."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class UploadTally:
    """Rows that are done with, by what became of them, in this run or one that it goes on with.

    Rows are articles or rejects; of the articles, the service has accepted all but those that it
    rejected, and, in an open loop, those that were `missed`: refused for the time, or not answered.
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
        """From what `as_dict` gave."""
        return cls(**{**value, "rejected": Counter(value["rejected"])})
