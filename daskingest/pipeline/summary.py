"""The summary of a file's run, and its status while it is running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from daskingest.tally import Tally
from daskingest.text import size_text, time_text


class Outcome(Enum):
    """How a file's run ended."""

    COUNTED = "counted"
    ALREADY = "counted already"
    LIMITED = "counted up to the limit"
    INTERRUPTED = "interrupted"
    FAILED = "not counted"


_DONE = (Outcome.COUNTED, Outcome.ALREADY, Outcome.LIMITED)


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


def total_of(summaries: Sequence[Summary]) -> Summary:
    """All of it together. Of a file that failed, what was not counted is not expected any more."""
    total = Summary(f"{len(summaries):,} files", 0, Outcome.COUNTED)
    for worst in (Outcome.FAILED, Outcome.INTERRUPTED):
        if any(each.outcome is worst for each in summaries):
            total.outcome = worst
    for each in summaries:
        failed = each.outcome is Outcome.FAILED
        size = each.bytes_done if failed or each.outcome in _DONE else each.size
        total.size = None if total.size is None or size is None else total.size + size
        total.tally.merge(each.tally)
        total.fresh.merge(each.fresh)
        total.rows += each.rows
        total.bytes_done += each.bytes_done
        total.fresh_bytes += each.fresh_bytes
        total.seconds += each.seconds
        total.written.commits += each.written.commits
        total.written.writes += each.written.writes
        total.written.billed |= each.written.billed
    return total


def files_text(summaries: Sequence[Summary], handed: int, seconds: float) -> str:
    """The status of several files, see `status_text`."""
    done = sum(each.outcome is not Outcome.INTERRUPTED for each in summaries)
    total = status_text(total_of(summaries), handed, seconds)
    return f"{done:,} of {len(summaries):,} files, {total}"


def status_text(summary: Summary, handed: int, seconds: float) -> str:
    """The status after so many seconds: bytes, articles, words of text/s, time left, rejects.

    So many bytes are `handed` over to be committed, which may take a minute. They are none of those
    in the store, but the rate and the time have them: else they would get worse until a commit.
    """
    parts = [size_text(summary.bytes_done)]
    if handed:
        parts[0] += f" (and {size_text(handed)} extracted)"
    if summary.size:
        parts[0] += f" of {size_text(summary.size)}"
    parts.append(f"{summary.tally.articles:,} articles")
    if seconds > 0 and summary.fresh_bytes:
        extracted = summary.fresh_bytes + handed
        words = summary.fresh.text_words * extracted / summary.fresh_bytes
        parts.append(f"{words / seconds:,.0f} words/s")
        if summary.size:
            left = max(0, summary.size - summary.bytes_done - handed) * seconds / extracted
            parts.append(f"{time_text(left)} left")
    parts.append(f"{summary.tally.rejected.total():,} rejects")
    return ", ".join(parts)
