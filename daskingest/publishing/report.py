"""What a publish comes to, and how that is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from daskingest.stores.price_list import dollars_text, writes_text
from daskingest.text import time_text


@dataclass(slots=True)
class PublishReport:
    """What was published, in `seconds`. `stopped` says that the user ended it before all was.

    `words` and `publications` are documents written, of those that were `planned`. `writes` are
    these and the ledger's, and cost money if they are `billed`. `refused` names the documents that
    the target does not take, and why.
    """

    target: str
    billed: bool
    planned: int = 0
    words: int = 0
    publications: int = 0
    commits: int = 0
    writes: int = 0
    seconds: float = 0.0
    stopped: bool = False
    refused: list[str] = field(default_factory=list)

    @property
    def documents(self) -> int:
        """How many were written."""
        return self.words + self.publications

    def after(self, before: PublishReport | None) -> PublishReport:
        """This one and an earlier one together."""
        if before is None:
            return self
        sums = ("words", "publications", "commits", "writes", "seconds")
        added = {name: getattr(self, name) + getattr(before, name) for name in sums}
        return replace(self, **added, planned=before.documents + self.planned)


def documents_text(words: int, publications: int) -> str:
    """How many documents, for people."""
    return (
        f"{words:,} {'word' if words == 1 else 'words'} and "
        f"{publications:,} {'publication' if publications == 1 else 'publications'}"
    )


def forecast_text(planned: tuple[int, int], writes: int, billed: bool, target: str) -> str:
    """What is going to be published: so many words, and so many publications."""
    if not sum(planned):
        return f"{target} has all counts already"
    told = f": {writes_text(writes)}" if billed else ""
    return f"{documents_text(*planned)} to publish to {target}{told}"


def status_text(documents: int, planned: int, seconds: float) -> str:
    """How far it is after so many seconds."""
    rate = f", {documents / seconds:,.0f}/s" if seconds and documents else ""
    return f"{documents:,} of {planned:,} documents{rate}"


def report_lines(report: PublishReport) -> Iterator[str]:
    """What became of it."""
    if not report.documents and not report.stopped and not report.refused:
        yield f"{report.target}: had all counts already"
        return
    if not report.planned and report.stopped:
        yield f"{report.target}: not published yet; that is done when all is counted"
        return
    yield f"{report.target}: {'interrupted' if report.stopped else 'published'}"
    left = report.planned - report.documents - len(report.refused)
    more = f"; {left:,} documents are left" if left else ""
    yield f"  counts    {documents_text(report.words, report.publications)}{more}"
    cost = f", {dollars_text(report.writes)} at most" if report.billed else ""
    yield f"  store     {report.commits:,} commits, {report.writes:,} writes{cost}"
    yield f"  time      {time_text(report.seconds)}"
    for each in report.refused:
        yield f"  refused   {each}"
