"""What became of a file, and of many, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from daskingest.cli.output import harmless, print_lines, print_table
from daskingest.pipeline.summary import Outcome, Summary, total_of
from daskingest.settings import Settings
from daskingest.text import time_text

_LISTED = 20  # files; of more, only those are listed that are not simply counted

_AS_WISHED = (Outcome.COUNTED, Outcome.ALREADY)


def print_files(console: Console, summaries: list[Summary], settings: Settings) -> None:
    """What became of several files: a table, a line for each that failed, and all together."""
    few = len(summaries) <= _LISTED
    listed = [each for each in summaries if few or each.outcome not in _AS_WISHED]
    if listed:
        print_table(_table(listed[:_LISTED]))
    if len(listed) > _LISTED:
        print_lines(console, f"and {len(listed) - _LISTED:,} more files")
    for each in summaries:
        if each.error:
            print_lines(
                console, each.error if each.file in each.error else f"{each.file}: {each.error}"
            )
    outcomes = Counter(_outcome(each) for each in summaries)
    parts = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())
    _, *lines = summary_lines(total_of(summaries), replace(settings, limit=None))  # it is of each
    print_lines(console, "\n".join([f"{len(summaries):,} files: {parts}", *lines]))


def _table(summaries: list[Summary]) -> Table:
    table = Table("file", "", box=None, pad_edge=False)
    for name in ("rows", "articles", "rejects", "words"):
        table.add_column(name, justify="right")
    for each in summaries:
        tally = each.tally
        numbers = tally.rows, tally.articles, tally.rejected.total(), tally.text_words
        table.add_row(harmless(each.file), _outcome(each), *(f"{n:,}" for n in numbers))
    return table


def _outcome(summary: Summary) -> str:
    """How its run ended; a file that has only a header is empty."""
    if summary.outcome in _AS_WISHED and not summary.tally.rows:
        return "empty"
    return summary.outcome.value


def nothing_in(summary: Summary) -> bool:
    """Whether a file has rows, all of which were rejected."""
    ended = summary.outcome is not Outcome.INTERRUPTED
    return ended and bool(summary.tally.rows) and not summary.tally.articles


def summary_lines(summary: Summary, settings: Settings) -> Iterator[str]:
    """What became of a file."""
    tally, fresh = summary.tally, summary.fresh
    yield f"{summary.file}: {summary.outcome.value}"
    yield from _row_lines(summary, settings)
    for reason, count in tally.rejected.most_common():
        yield f"  rejected  {count:,} {reason}"
    if tally.rejected:
        yield f"            each is in {settings.rejects}"
    if nothing_in(summary):
        yield "  no row could be used: look at the reasons, and at the columns that were read"
    if fresh.articles and summary.seconds:
        part = "" if fresh.articles == tally.articles else f" for {fresh.articles:,} articles now"
        rate = fresh.text_words / summary.seconds
        yield f"  time      {time_text(summary.seconds)}{part}, {rate:,.0f} words/s"
    if fresh.articles and summary.written.billed:
        per_thousand = 1000 * summary.written.writes / fresh.articles
        yield (
            f"  store     {summary.written.commits:,} commits, {summary.written.writes:,} writes "
            f"({per_thousand:,.0f} per 1,000 articles)"
        )


def _row_lines(summary: Summary, settings: Settings) -> Iterator[str]:
    """What its rows became, if any were counted or the file is done."""
    tally, outcome = summary.tally, summary.outcome
    if not tally.rows and outcome is not Outcome.COUNTED:
        return
    whole = outcome not in (Outcome.INTERRUPTED, Outcome.FAILED)
    sure = whole and summary.rows == tally.rows
    check = " (all rows accounted for)" if sure else ""
    if settings.limit is not None and tally.articles > settings.limit:
        check = " (earlier runs counted more than the limit)"
    taken = f"{tally.articles:,} articles + {tally.rejected.total():,} rejects"
    dropped = f" ({tally.dropped:,} too long to count)" if tally.dropped else ""
    yield f"  rows      {tally.rows:,} = {taken}{check}"
    if tally.dated:
        undated = tally.articles - tally.dated
        without = f"; {undated:,} have no date that can be read" if undated else ""
        yield f"  dates     {tally.dated:,} articles counted by month, too{without}"
    yield f"  words     {tally.text_words:,}"
    yield f"  entities  {tally.entities:,}{dropped}"
