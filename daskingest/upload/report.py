"""What became of an upload."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daskingest.text import size_text
from daskingest.upload.latency import Latencies

if TYPE_CHECKING:
    from daskingest.upload.parcels import Parcel


@dataclass(slots=True)
class Tally:
    """What became of the rows that are done with, in this run or an earlier one it goes on with.

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
    def from_dict(cls, value: dict[str, Any]) -> Tally:
        """From what `as_dict` gave."""
        return cls(**{**value, "rejected": Counter(value["rejected"])})


@dataclass(slots=True)
class Report:
    """How an upload went. All but the tally is of this run.

    Latencies are of requests that were taken: in an open loop from when they were due, otherwise
    from their first try, with the waiting between tries.
    """

    file: str
    url: str
    run: str
    total: int | None = None
    position: int = 0
    tally: Tally = field(default_factory=Tally)
    outcome: str = "interrupted"
    fresh: int = 0
    """Articles accepted."""
    size: int = 0
    """Bytes of their JSON, unpacked."""
    requests: int = 0
    """All, those that were sent again too."""
    replayed: int = 0
    """Requests whose articles the service had from an earlier try."""
    troubles: Counter[str] = field(default_factory=Counter)
    """Requests that were not taken for the time, by what came instead."""
    late: int = 0
    """Requests of an open loop that were not sent when they were due."""
    latest: float = 0.0
    """The most that one of them was late, in seconds."""
    seconds: float = 0.0
    latencies: Latencies = field(default_factory=Latencies)

    def settle(self, parcel: Parcel, rejected: Counter[str], missed: int) -> None:
        """A parcel is done with; so many of its articles were rejected or missed."""
        tally, articles = self.tally, len(parcel.items)
        accepted = articles - rejected.total() - missed
        tally.rows += articles + len(parcel.rejects)
        tally.articles += articles
        tally.accepted += accepted
        tally.missed += missed
        tally.rejected += rejected + Counter(each.reason for each in parcel.rejects)
        self.fresh += accepted
        self.size += parcel.size if accepted else 0
        self.position = max(self.position, parcel.position)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        per_second = 1 / self.seconds if self.seconds else 0.0
        return {
            "file": self.file,
            "url": self.url,
            "run": self.run,
            "outcome": self.outcome,
            **self.tally.as_dict(),
            "accepted_now": self.fresh,
            "bytes": self.size,
            "seconds": self.seconds,
            "articles_per_second": self.fresh * per_second,
            "bytes_per_second": self.size * per_second,
            "requests": self.requests,
            "replayed": self.replayed,
            "troubles": dict(self.troubles.most_common()),
            "late": self.late,
            "latest_seconds": self.latest,
            "latency_seconds": self.latencies.summary(),
        }


def status_text(report: Report, seconds: float) -> str:
    """How far an upload is after so many seconds: articles, rates, what was not taken."""
    tally = report.tally
    parts = [f"{tally.accepted:,} articles"]
    if seconds > 0 and report.fresh:
        parts += [f"{report.fresh / seconds:,.0f}/s", f"{size_text(report.size / seconds)}/s"]
    if report.total:
        parts.append(f"{100 * report.position / report.total:.0f} %")
    if tally.missed:
        parts.append(f"{tally.missed:,} missed")
    parts.append(f"{tally.rejected.total():,} rejects")
    return ", ".join(parts)
