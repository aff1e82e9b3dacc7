"""The summary of a file's run, and its status while it is running."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from daskingest.counts import Tally
from daskingest.text import size_text, time_text


class Outcome(Enum):
    """How a file's run ended."""

    COUNTED = "counted"
    ALREADY = "was counted already"
    LIMITED = "counted up to the limit"
    INTERRUPTED = "interrupted"
    FAILED = "not counted"


@dataclass(slots=True)
class Written:
    """What a run did to the store: so many commits, of so many rows or documents in all.

    It costs money if it is `billed`.
    """

    commits: int = 0
    writes: int = 0
    billed: bool = False


@dataclass(slots=True)
class Summary:
    """What became of a file. `tally` is of all its rows in the store, including earlier runs'.

    `fresh` is of the rows that this run counted, in `seconds` (excluding start-up). `rows` is the
    number of rows in the file, counted independently of the tally. Sizes are in bytes; `size` is
    None if unknown, as for a compressed file. `error` says why it failed.
    """

    file: str
    size: int | None
    outcome: Outcome = Outcome.INTERRUPTED
    tally: Tally = field(default_factory=Tally)
    rows: int = 0
    bytes_done: int = 0
    fresh: Tally = field(default_factory=Tally)
    fresh_bytes: int = 0
    seconds: float = 0.0
    written: Written = field(default_factory=Written)
    error: str = ""


def status_text(summary: Summary, seconds: float) -> str:
    """The status after so many seconds: bytes, articles, words of text/s, time left, rejects."""
    parts = [size_text(summary.bytes_done)]
    if summary.size:
        parts[0] += f" of {size_text(summary.size)}"
    parts.append(f"{summary.tally.articles:,} articles")
    if seconds > 0 and summary.fresh_bytes:
        parts.append(f"{summary.fresh.text_words / seconds:,.0f} words/s")
        if summary.size:
            left = (summary.size - summary.bytes_done) * seconds / summary.fresh_bytes
            parts.append(f"{time_text(left)} left")
    parts.append(f"{summary.tally.rejected.total():,} rejects")
    return ", ".join(parts)
