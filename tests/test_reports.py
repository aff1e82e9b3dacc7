"""The summaries of runs and uploads, and their exit codes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from daskingest.cli.commands.upload import exit_code, report_lines
from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.summaries import summary_lines
from daskingest.pipeline.summary import Outcome, Summary
from daskingest.settings import Settings, UploadSettings
from daskingest.tally import Tally
from daskingest.upload.measured import Measured
from daskingest.upload.report import UploadReport, status_text
from daskingest.upload.tally import UploadTally


def tally(articles: int, **reasons: int) -> Tally:
    rejected = Counter(reasons)
    return Tally(
        rows=articles + rejected.total(),
        articles=articles,
        text_words=500 * articles,
        entities=9 * articles,
        rejected=rejected,
    )


def lines_of(summary: Summary, **settings: Any) -> list[str]:
    return list(summary_lines(summary, Settings(**settings)))


def test_a_file_that_was_counted() -> None:
    whole = tally(1200, torn=3)
    summary = Summary("a.csv", 10, Outcome.COUNTED, whole, rows=1203, fresh=whole, seconds=60.0)
    assert lines_of(summary) == [
        "a.csv: counted",
        "  rows      1,203 = 1,200 articles + 3 rejects (all rows accounted for)",
        "  words     600,000",
        "  entities  10,800",
        "  rejected  3 torn",
        "            each is in rejects.jsonl",
        "  time      1:00, 10,000 words/s",
    ]


def test_a_file_that_was_counted_in_part() -> None:
    summary = Summary("a.csv", 10, tally=tally(12), fresh=tally(2), seconds=10.0, rows=12)
    assert lines_of(summary)[0] == "a.csv: interrupted"
    assert lines_of(summary)[1] == "  rows      12 = 12 articles + 0 rejects"
    assert lines_of(summary)[-1] == "  time      10 s for 2 articles now, 100 words/s"
    assert lines_of(summary, limit=10)[1].endswith("(earlier runs counted more than the limit)")
    assert lines_of(Summary("a.csv", 10)) == ["a.csv: interrupted"]


def test_what_firestore_bills_is_said() -> None:
    summary = Summary("a.csv", 10, tally=tally(2), fresh=tally(2), seconds=1)
    summary.written.commits, summary.written.writes, summary.written.billed = 3, 40, True
    assert lines_of(summary, store="firestore://p")[-1] == (
        "  store     3 commits, 40 writes (20,000 per 1,000 articles)"
    )
    summary.written.billed = False
    assert "commits" not in "".join(lines_of(summary))


def report(**tally: Any) -> UploadReport:
    return UploadReport("a.csv", "http://x", "r", outcome="sent", tally=UploadTally(**tally))


def test_an_upload_that_was_sent() -> None:
    found = report(rows=1005, articles=1000, accepted=998, rejected=Counter({"bad": 7}))
    found.measured = Measured(accepted=500, size=2_000_000, requests=12, replayed=1, seconds=4.0)
    found.measured.troubles["answered 503"] = 2
    assert list(report_lines(found, UploadSettings())) == [
        "a.csv: sent",
        "  rows      1,005 = 1,000 articles + 5 rejects",
        "  accepted  998 articles; 1 requests had been accepted before, and count once",
        "  rejected  7 bad",
        "            each is in rejects.jsonl",
        "  requests  12; not taken: 2 answered 503",
        "  time      4 s, 125.0 articles/s, 500.0 kB/s",
    ]


def test_an_open_loop() -> None:
    found = report(rows=2, articles=2, accepted=1, missed=1)
    found.measured = Measured(requests=2, late=1, latest=0.25)
    found.measured.latencies.add(0.5)
    lines = list(report_lines(found, UploadSettings()))
    assert "  missed    1 articles, not sent again" in lines
    assert "  late      1 requests, by up to 250.0 ms" in lines
    assert lines[-1].startswith("  latency   p50 500.0 ms, ")


def test_how_far_an_upload_is() -> None:
    found = report(accepted=30, missed=2, rejected=Counter({"bad": 1}))
    assert status_text(found, 0) == "30 articles, 2 missed, 1 rejects"
    found.total, found.position = 200, 50
    found.measured = Measured(accepted=20, size=4000)
    expected = "30 articles, 10/s, 2.0 kB/s, 25 %, 2 missed, 1 rejects"
    assert status_text(found, 2.0) == expected


@pytest.mark.parametrize(
    ("outcome", "missed", "rejected", "strict", "code"),
    [
        ("sent", 0, 0, True, ExitCode.DONE),
        ("sent already", 0, 1, False, ExitCode.DONE),
        ("sent", 0, 1, True, ExitCode.REJECTS),
        ("sent", 1, 1, True, ExitCode.FAILED),
        ("interrupted", 1, 1, True, ExitCode.INTERRUPTED),
    ],
)
def test_how_an_upload_ends(
    outcome: str, missed: int, rejected: int, strict: bool, code: ExitCode
) -> None:
    found = report(missed=missed, rejected=+Counter(bad=rejected))
    found.outcome = outcome
    assert exit_code(found, strict) is code
