"""The status of a file while it is counted."""

from __future__ import annotations

from collections import Counter

from daskingest.pipeline.summary import Summary, status_text
from daskingest.tally import Tally


def test_how_far_a_file_is() -> None:
    summary = Summary("a.csv", 10_000)
    assert status_text(summary, 0, 0) == "0 B of 10.0 kB, 0 articles, 0 rejects"
    summary.bytes_done, summary.fresh_bytes = 6_000, 2_000
    summary.tally.articles, summary.tally.rejected = 1_200, Counter({"no content": 3})
    summary.fresh = Tally(text_words=500)
    assert status_text(summary, 0, 5.0) == (
        "6.0 kB of 10.0 kB, 1,200 articles, 100 words/s, 10 s left, 3 rejects"
    )


def test_what_waits_for_a_commit_is_told_and_has_taken_its_time() -> None:
    summary = Summary("a.csv", 10_000, bytes_done=6_000, fresh_bytes=2_000)
    summary.fresh = Tally(text_words=500)
    assert status_text(summary, 3_000, 5.0) == (
        "6.0 kB (and 3.0 kB extracted) of 10.0 kB, 0 articles, 250 words/s, 1 s left, 0 rejects"
    )
    assert "(and 5.0 kB extracted) of" in status_text(summary, 5_000, 5.0)  # it is about so many
    assert "0 s left" in status_text(summary, 5_000, 5.0)


def test_how_far_a_file_of_unknown_size_is() -> None:
    summary = Summary("a.csv.gz", None, bytes_done=6_000, fresh_bytes=6_000)
    assert status_text(summary, 0, 5.0) == "6.0 kB, 0 articles, 0 words/s, 0 rejects"
