from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import HEADER, csv_text

from daskingest.articles import Article, Reject
from daskingest.errors import UsageError
from daskingest.months import month_named
from daskingest.sources.csvfile import open_csv


def test_cuts_of_a_real_file(many_real_articles: Path) -> None:
    csv.field_size_limit(1 << 30)
    text = many_real_articles.read_bytes().decode()
    expected = list(csv.reader(io.StringIO(text, newline="")))[1:]
    for batch_bytes in (100_000, 256 << 10, 10 << 20):
        parts = list(open_csv(str(many_real_articles)).ranges(batch_bytes))
        assert sum(part.row_count for part in parts) == len(expected) == 20_087
        assert [r.fields for part in parts for r in part.records()] == expected


GOOD = b'1,d,t,"one\r\n""two""\r\n\r\nthree",u,The Post\r\n'
PIECES: list[tuple[bytes, str | None]] = [
    (GOOD, None),
    (b"2,d,t,,u,The Post\r\n", "no content"),
    (b"\r\n", ""),
    (b'3,d,t," \n\t",u,The Post\r\n', "no content"),
    (b"4,d,t,text,u,\r\n", "no publication"),
    (b"5,d,t,text,The Post\r\n", "wrong number of fields"),
    (b"6,d,t,text,u,The Post,more\r\n", "wrong number of fields"),
    (b"7,d,t,caf\xe9,u,The Post\r\n", "invalid UTF-8"),
    (b"8,d,t,nul \x00 byte,u,The Post\r\n", "content holds a NUL character"),
    (b'9,d,t,"' + b"long " * 800_000 + b'",u,The Post\r\n', None),
    (b"\r\n\r\n", ""),
    (b"10,d,t,text,u," + b"x" * 1001 + b"\r\n", "publication too long"),
    (b"11,d,t,last line,u,The Post", None),
]
"""Rows as bytes, and why each is rejected; an empty reason: it is no row at all."""


@pytest.mark.parametrize("batch_bytes", [1, 100, 1 << 20])
def test_every_bad_row_is_a_reject_with_its_place(tmp_path: Path, batch_bytes: int) -> None:
    head = b"\xef\xbb\xbf" + ",".join(HEADER).encode() + b"\r\n"
    path = tmp_path / "bad.csv"
    path.write_bytes(head + b"".join(piece for piece, _ in PIECES))
    offset, expected = len(head), []
    for piece, reason in PIECES:
        if reason != "":
            expected.append((offset, reason))
        offset += len(piece)
    found = []
    for part in open_csv(str(path)).ranges(batch_bytes):
        rows = list(part.rows())
        assert len(rows) == part.row_count
        for row, (each, record) in enumerate(zip(rows, part.records(), strict=True)):
            if isinstance(each, Reject):
                assert (each.offset, each.row) == (record.offset, row)
            else:
                assert each.publication == "The Post"
            found.append((record.offset, each.reason if isinstance(each, Reject) else None))
    assert found == expected


def test_articles_are_what_the_columns_say(write_csv: Callable[..., str]) -> None:
    path = write_csv([("  The   Post ", 'a "b"\nc')])
    [part] = open_csv(path).ranges()
    assert list(part.rows()) == [Article('a "b"\nc', "The Post", month=month_named("2020-01"))]
    [part] = open_csv(path, content="title", publication="date", dates=False).ranges()
    assert list(part.rows()) == [Article("t", "2020-01-01")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty: expected a CSV file with a header line"),
        (b"\n\n", "is empty"),
        (b"title,body\na,b\n", "no column for the content.*'title', 'body'.*--content-column"),
        (b"text,body\na,b\n", "no column for the publication.*'text', 'body'"),
        ("text,source\n".encode("utf-16"), "UTF-16: expected UTF-8;.*--encoding utf-16"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=message):
        open_csv(str(path))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such file: .*nothing\.csv"):
        open_csv(str(tmp_path / "nothing.csv"))
    with pytest.raises(UsageError, match="is a directory"):
        open_csv(str(tmp_path))
    with pytest.raises(UsageError, match="cannot open nope://x"):
        open_csv("nope://x")
    for name in ("a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zip"):
        (tmp_path / name).write_bytes(b"not compressed \0 at all")
        with pytest.raises(UsageError, match=r"does not begin as .* data does.*fetch it again"):
            open_csv(str(tmp_path / name))


def test_the_fingerprint_is_of_the_content_and_not_of_the_name(tmp_path: Path) -> None:
    text = csv_text([HEADER, *([str(i), "", "", "text " * 50, "", "P"] for i in range(5000))])
    prints = []
    for name, data in (("a", text), ("b", text), ("c", text + "1,,,x,,P\n"), ("d", text[:-1])):
        path = tmp_path / f"{name}.csv"
        path.write_text(data)
        prints.append(open_csv(str(path)).origin.fingerprint())
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
    assert len(prints[0]) == 16


def test_a_header_may_hold_newlines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\n"a\nb",text,source\n1,hello,P\n')
    [part] = open_csv(str(path)).ranges()
    assert list(part.rows()) == [Article("hello", "P")]
