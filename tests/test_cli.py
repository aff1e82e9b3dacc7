from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from program import run

from daskingest import __version__
from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.stores import open_store
from daskingest.text import size_text, time_text

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small store."""
    counts = Counts()
    counts.add_article("The Post", [("paris", "GPE"), ("paris", "PERSON"), ("[red]x\x1b", "ORG")])
    counts.add_article("The Post", [("paris", "GPE")])
    counts.add_article('Q, "R"', [("a,b", "ORG")])
    with open_store(f"sqlite:///{tmp_path}/daskingest.db", create=True) as store:
        store.commit(counts.packed(), {BatchId("r", "1"): Counted()})
    return tmp_path


def ok(folder: Path, *arguments: str, **environment: str) -> str:
    code, output = run(folder, *arguments, **environment)
    assert code == 0, output
    return output


def test_publications(folder: Path) -> None:
    assert ["The", "Post", "2"] in [
        line.split() for line in ok(folder, "publications").splitlines()
    ]
    assert json.loads(ok(folder, "publications", "--json")) == [
        {"name": "The Post", "key": "the post", "count": 2},
        {"name": 'Q, "R"', "key": 'q, "r"', "count": 1},
    ]


def test_top(folder: Path) -> None:
    assert json.loads(ok(folder, "top", "the  POST", "--json", "-n", "1")) == [
        {"word": "paris", "name": "paris", "count": 3, "labels": {"GPE": 2, "PERSON": 1}}
    ]
    shown = ok(folder, "top", "The Post")
    assert "GPE 2, PERSON 1" in shown
    assert "[red]x\N{REPLACEMENT CHARACTER}" in shown
    assert "\x1b" not in shown
    labelled = json.loads(ok(folder, "top", "The Post", "--label", "person", "--json"))
    assert labelled == [{"word": "paris", "name": "paris", "count": 1, "labels": {"PERSON": 1}}]


def test_export(folder: Path) -> None:
    ok(folder, "export", "out.csv")
    ok(folder, "export", "out.parquet")
    with (folder / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["publication", "word", "label", "count", "name"]
    assert ['Q, "R"', "a,b", "ORG", "1", "a,b"] in rows
    assert len(rows) == 5
    frame = pd.read_parquet(folder / "out.parquet")
    assert [list(map(str, row)) for row in frame.itertuples(index=False)] == rows[1:]
    code, output = run(folder, "export", "out.xlsx")
    assert code == 2
    assert ".csv or .parquet" in output


def test_options_come_from_the_environment(folder: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{folder}/daskingest.db"
    away = tmp_path / "away"
    away.mkdir()
    assert "The Post" in ok(away, "publications", DASKINGEST_STORE=url)
    assert len(json.loads(ok(away, "publications", DASKINGEST_STORE=url, DASKINGEST_JSON="1"))) == 2


MISTAKES: list[tuple[list[str], int, str]] = [
    (["run-csv", "nothing.csv"], 2, "no such file: nothing.csv"),
    (["run-csv", "nothing"], 2, "nothing is an empty folder"),
    (["run-csv", "columns.csv"], 2, "found the columns 'a', 'b'"),
    (["run-csv", "empty.csv"], 2, "is empty"),
    (["run-csv", "good.csv", "--model", "xx_none"], 2, "no spaCy model 'xx_none'"),
    (["run-csv", "good.csv", "--store", "sqlite:////proc/x.db"], 1, "unable to open"),
    (["run-csv", "good.csv", "--store", "nope://x"], 2, "expected sqlite:///PATH"),
    (["run-csv", "good.csv", "--rejects", "no/folder/r.jsonl"], 2, "cannot write rejects"),
    (["publications", "--store", "sqlite:///none.db"], 1, "nothing has been counted there yet"),
    (["top", "The Pots"], 2, "did you mean 'The Post'"),
    (["export", "no/folder/out.csv"], 2, "cannot write no/folder/out.csv"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES)
def test_a_mistake_gets_one_clear_line(
    folder: Path, arguments: list[str], code: int, message: str
) -> None:
    (folder / "columns.csv").write_text("a,b\n1,2\n")
    (folder / "empty.csv").write_text("")
    (folder / "nothing").mkdir(exist_ok=True)
    (folder / "good.csv").write_text("text,source\nhello,P\n")
    found, output = run(folder, *arguments)
    assert found == code, output
    [line] = output.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_wrong_usage_exits_with_2(folder: Path) -> None:
    for arguments in (["run-csv"], ["top"], ["nothing"], ["run-csv", "x", "--workers", "0"]):
        code, output = run(folder, *arguments)
        assert code == 2, output
        assert "Traceback" not in output


def test_a_run_begun_otherwise_is_not_mixed(folder: Path) -> None:
    text = "text,body,source\nhello Paris,Angela Merkel,P\n"
    (folder / "a.csv").write_text(text)
    assert run(folder, "run-csv", "a.csv", "--workers", "1")[0] == 0
    code, output = run(folder, "run-csv", "a.csv", "--content-column", "body")
    assert code == 2
    assert "into this store was begun with the --content-column 'text'" in output


def test_help_and_readme_name_every_command(folder: Path) -> None:
    assert ok(folder, "--version") == f"daskingest {__version__}\n"
    text = ok(folder, "--help")
    for command in ("run-csv", "publications", "top", "export"):
        assert command in text
        assert f"daskingest {command}" in README.read_text()
        assert "DASKINGEST_STORE" in ok(folder, command, "--help")


def test_numbers_for_people() -> None:
    assert [size_text(n) for n in (5, 1500, 2_200_000, 8e9)] == [
        "5 B",
        "1.5 kB",
        "2.2 MB",
        "8.00 GB",
    ]
    assert [time_text(n) for n in (4.6, 187, 7500)] == ["5 s", "3:07", "2:05:00"]
