"""The file of rejects: each is written once, in the format of earlier versions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from daskingest.articles import Reject
from daskingest.errors import UsageError
from daskingest.pipeline.rejects import RejectsFile, find_rejects
from daskingest.sources.csvfile import open_csv
from daskingest.sources.csvrows import CsvRange
from daskingest.tally import Tally

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
        with pytest.raises(UsageError, match="expected a file in an existing folder"):
            RejectsFile(str(path))
    other = tmp_path / "articles.csv"
    other.write_text("date,article\n")
    with pytest.raises(UsageError, match=r"is not a file of rejects .*name another with --rejects"):
        RejectsFile(str(other))
    assert other.read_text() == "date,article\n"


@dataclass
class Rows:
    """As much of a batch as the file of rejects looks at."""

    source: object
    first: int = 0
    last: int | None = None

    def has(self, row: object) -> bool:
        return True


def batch(source: object, first: int = 0, last: int | None = None) -> Any:
    return cast(Any, Rows(source, first, last))


@pytest.fixture
def source(write_csv: Callable[..., str]) -> CsvRange:
    texts = ["good", "", "bad", "good", "", "bad"]
    path = write_csv([("P", text) for text in texts])
    [found] = open_csv(path).ranges(1 << 20)
    return found


def test_rejects_of_a_batch_are_found_again_in_its_rows(source: CsvRange) -> None:
    unread = Tally(6, 4, rejected=Counter({"no content": 2}))
    found = list(find_rejects(batch(source), unread))
    assert [(each.row, each.reason) for each in found] == [(1, "no content"), (4, "no content")]
    failed = Tally(3, 1, rejected=Counter({"no content": 1, "slow": 1}), failed={2: "slow"})
    found = list(find_rejects(batch(source, 3, 6), failed))
    assert [(each.row, each.reason) for each in found] == [(4, "no content"), (5, "slow")]
    assert all(each.offset for each in found)
    assert list(find_rejects(batch(object()), failed)) == []


def test_a_batch_s_rejects_are_added_once(tmp_path: Path, source: CsvRange) -> None:
    path = tmp_path / "rejects.jsonl"
    file = RejectsFile(str(path))
    file.add("a.csv", batch(source), Tally(6, 6), None)
    assert not path.exists()
    later = replace(source, first_row=100)
    tally = Tally(6, 3, rejected=Counter({"no content": 2, "slow": 1}), failed={2: "slow"})
    for known in (None, list(find_rejects(batch(later), Tally())), None):
        file.add("a.csv", batch(later), tally, known)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["row"], each["reason"]) for each in rows] == [
        (102, "no content"),
        (103, "slow"),
        (105, "no content"),
    ]


def test_a_reject_is_known_by_its_file_s_run_whatever_the_path(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    file = RejectsFile(str(path))
    file.write("a.csv", REJECTS[:1], run="r1")
    file.write("./copy/of/a.csv", REJECTS[:1], run="r1")
    RejectsFile(str(path)).write("/data/a.csv", REJECTS[:1], run="r1")
    assert len(path.read_text().splitlines()) == 1
    file.write("a.csv", REJECTS[:1], run="r2")  # another file under the same name
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["run"] for each in found] == ["r1", "r2"]
    assert [each["offset"] for each in found] == [120, 120]


def test_lines_without_a_run_are_known_by_the_file_s_name(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    path.write_text(BEFORE)
    RejectsFile(str(path)).write("a.csv", REJECTS, run="r1")
    assert path.read_text() == BEFORE
    RejectsFile(str(path)).write("b.csv", REJECTS[:1], run="r1")
    assert len(path.read_text().splitlines()) == 3


def test_what_another_process_wrote_meanwhile_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    one, other = RejectsFile(str(path)), RejectsFile(str(path))
    for file in (one, other, one):
        file.write("a.csv", REJECTS, run="r1")
    assert len(path.read_text().splitlines()) == 2
