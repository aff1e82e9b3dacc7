"""The file of rejects: each there once, in the format that earlier versions wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from daskingest.articles import Reject
from daskingest.errors import UsageError
from daskingest.pipeline.rejects import RejectsFile

BEFORE = (
    '{"file": "a.csv", "offset": 120, "row": 3, "reason": "no content"}\n'
    '{"file": "a.csv", "offset": null, "row": 4, "reason": "r", "detail": "\\u00e9"}\n'
)
REJECTS = [Reject("no content", "", 0, 120), Reject("r", "é", 1, None)]


def test_a_line_is_as_it_always_was(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    file = RejectsFile(str(path))
    file.write("a.csv", [])
    assert not path.exists()
    file.write("a.csv", iter(REJECTS), first_row=2)
    assert path.read_text() == BEFORE


def test_what_an_earlier_run_wrote_is_known(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    path.write_text(BEFORE + BEFORE[:40])
    file = RejectsFile(str(path))
    file.write("a.csv", REJECTS)
    assert path.read_text() == BEFORE + BEFORE[:40]  # nothing new
    file.write("b.csv", [*REJECTS[:1], *REJECTS[:1]])
    new = '{"file": "b.csv", "offset": 120, "row": 1, "reason": "no content"}\n'
    assert path.read_text() == BEFORE + new


def test_places_that_cannot_be_used(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "r.jsonl"):
        with pytest.raises(UsageError, match="expected a file in a folder that is there"):
            RejectsFile(str(path))
    other = tmp_path / "articles.csv"
    other.write_text("date,article\n")
    with pytest.raises(UsageError, match=r"is no file of rejects .*name another with --rejects"):
        RejectsFile(str(other))
    assert other.read_text() == "date,article\n"
