"""The report on an upload, during and after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from daskingest.text import size_text
from daskingest.upload.measured import Measured
from daskingest.upload.parcels import Parcel
from daskingest.upload.tally import UploadTally


@dataclass(slots=True)
class UploadReport:
    """The state of an upload of a file to a service.

    `position` is its progress, of `total`, in the unit of `parcels.length_of`.
    """

    file: str
    url: str
    run: str
    total: int | None = None
    position: int = 0
    outcome: str = "interrupted"
    tally: UploadTally = field(default_factory=UploadTally)
    measured: Measured = field(default_factory=Measured)

    def settle(self, parcel: Parcel, rejected: Counter[str], missed: int) -> None:
        """A parcel is done; so many of its articles were rejected or missed."""
        tally, articles = self.tally, len(parcel.items)
        accepted = articles - rejected.total() - missed
        tally.rows += articles + len(parcel.rejects)
        tally.articles += articles
        tally.accepted += accepted
        tally.missed += missed
        tally.rejected += rejected + Counter(each.reason for each in parcel.rejects)
        self.measured.accepted += accepted
        self.measured.size += parcel.size if accepted else 0
        self.position = max(self.position, parcel.position)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "file": self.file,
            "url": self.url,
            "run": self.run,
            "outcome": self.outcome,
            **self.tally.as_dict(),
            **self.measured.as_dict(),
        }


def status_text(report: UploadReport, seconds: float) -> str:
    """The status of an upload after so many seconds: articles, rates, misses and rejects."""
    tally, measured = report.tally, report.measured
    parts = [f"{tally.accepted:,} articles"]
    if seconds > 0 and measured.accepted:
        parts.append(f"{measured.accepted / seconds:,.0f}/s")
        parts.append(f"{size_text(measured.size / seconds)}/s")
    if report.total:
        parts.append(f"{100 * report.position / report.total:.0f} %")
    if tally.missed:
        parts.append(f"{tally.missed:,} missed")
    parts.append(f"{tally.rejected.total():,} rejects")
    return ", ".join(parts)
