from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from program import run
from written import Row, write

from daskingest.doctor import looking
from daskingest.settings import FileSettings

ARTICLES: list[Row] = [("text", "P", "2016-06-09"), ("", "P", None), ("more text", "Q", None)]


def told(*paths: Path, **options: Any) -> list[str]:
    found = looking.look_at([str(each) for each in paths], FileSettings(**options))
    return [f"{each.verdict} {each.check}: {each.text}" for each in found]


def test_a_file_of_each_format(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ARTICLES)
    assert told(path) == [
        f"ok file: {path}: CSV, 105 B",
        "ok encoding: utf-8",
        "ok written: fields separated by commas, quotes in them doubled",
        "ok columns: 'id', 'article', 'publication', 'date'",
        "ok taken: content from 'article', publication from 'publication', dates from 'date'",
        "ok rows: 3",
        "warning rejects: 1 no content",
        "warning rejects: row 2 at byte 66: no content",
    ]
    path = write(tmp_path / "a.parquet", ARTICLES)
    assert told(path)[0].startswith(f"ok file: {path}: Parquet, ")
    assert told(path)[-1] == "warning rejects: row 2: no content"
    path = write(tmp_path / "a.jsonl", ARTICLES[:1])
    packed = path.with_name("a.jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    found = told(packed)
    assert found[0].endswith("JSON Lines, 80 B, compressed with gzip")
    assert found[-2:] == ["ok rows: 1", "ok rejects: none"]


def test_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_LOOKED_AT", 1)
    monkeypatch.setattr(looking, "BATCH_BYTES", 1)
    path = write(tmp_path / "a.csv", [ARTICLES[1], *ARTICLES])
    assert told(path)[5:] == [
        "ok rows: 4",
        "problem rejects: 1 no content among the first 1 rows; no row is an article: name its "
        "columns, or its --encoding",
        "warning rejects: row 1 at byte 37: no content",
    ]
    assert told(write(tmp_path / "b.csv", []))[5:] == [
        "warning rows: none; there is nothing to count",
        "ok rejects: none",
    ]
    nothing, other = tmp_path / "no.csv", write(tmp_path / "c.csv", ARTICLES)
    assert told(nothing, other)[0] == f"problem file: no such file: {nothing}"
    assert len(told(nothing, other)) > 5
    [line] = told(other, content_column="body")
    assert line.startswith(f"problem file: {other}: no column for the content: expected 'body'")
    other.write_bytes("text,source\ncaf\xe9,P\n".encode("latin-1"))
    assert told(other)[1].startswith(f"warning file: {other} is not UTF-8: it looks like cp1252")
    assert told(other, encoding="latin-1")[1] == "ok encoding: iso8859-1"
    path.write_bytes(gzip.compress(b"text,source\na,P\n" * 9)[:-9])
    assert any(each.startswith("problem") and "a.csv" in each for each in told(path))


def test_the_command(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ARTICLES)
    code, output = run(tmp_path, "doctor", str(path))
    assert code == 0
    assert "ok       rows       3" in output
    assert output.endswith("no problems, 2 warnings\n")
    assert run(tmp_path, "doctor", "nothing.csv")[0] == 1
