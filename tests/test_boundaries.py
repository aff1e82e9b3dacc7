from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import csv_text
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daskingest.articles import Columns, Reject
from daskingest.sources import boundaries
from daskingest.sources.csvfile import open_csv
from daskingest.sources.csvrows import CsvRange, Dialect, Layout, is_regular, records
from daskingest.sources.marks import RecordStarts
from daskingest.sources.textfile import split_lines

HEADER = ["article", "publication", "n"]
# Short fields of what matters to a CSV reader, so that cuts fall on every kind of edge.
TEXT = st.text(st.sampled_from('ab,;"\n\r\0 é😀\\'), max_size=12)
ROWS = st.lists(st.tuples(TEXT, TEXT, TEXT).map(list), max_size=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


@pytest.fixture(scope="module", autouse=True)
def small_windows() -> Iterator[None]:
    """Windows and blocks so small that a few rows need many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boundaries, "_WINDOW", 128)
        patch.setattr(boundaries, "_LOOKAHEAD", 64)
        patch.setattr(boundaries, "_BLOCK", 64)
        yield


def rows_of(parts: list[CsvRange]) -> list[list[str]]:
    return [record.fields for part in parts for record in part.records()]


def python_rows(text: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]


def check(path: Path, data: bytes, batch_bytes: int) -> list[CsvRange]:
    """Check a file's ranges: each byte is in exactly one, and the row counts are right."""
    path.write_bytes(data)
    file = open_csv(str(path))
    parts = list(file.ranges(batch_bytes))
    ends = [file.layout.data_start, *(part.end for part in parts)]
    assert [part.start for part in parts] == ends[:-1]
    assert ends[-1] == len(data)
    for part in parts:
        assert part.row_count == sum(1 for _ in part.records())
    assert [part.first_row for part in parts] == [
        sum(before.row_count for before in parts[:i]) for i in range(len(parts))
    ]
    return parts


@given(
    ROWS,
    st.integers(1, 200),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([",", ";", "\t", "|"]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 3),
)
def test_ranges_hold_the_rows_that_python_reads(
    folder: Path,
    rows: list[list[str]],
    batch_bytes: int,
    terminator: str,
    quoting: int,
    delimiter: str,
    bom: bool,
    last_newline: bool,
    blank: int,
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=terminator, quoting=quoting, delimiter=delimiter)  # type: ignore[arg-type]
    writer.writerow(HEADER)
    for row in rows:
        writer.writerow(row)
        out.write(terminator * blank)
    text = out.getvalue()
    if not last_newline:
        text = text.removesuffix(terminator)
    data = text.encode("utf-8-sig" if bom else "utf-8")
    parts = check(folder / "a.csv", data, batch_bytes)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert rows_of(parts) == [row for row in reader if row][1:]


@pytest.mark.parametrize("terminator", ["\n", "\r\n"])
def test_every_batch_size_near_a_row_s_edge(folder: Path, terminator: str) -> None:
    rows = [["one\n\ntwo", 'say "hi",', "1"], ["", "", ""], ["x" * 130, "\r\n", "3"]]
    text = csv_text([HEADER, *rows], terminator)
    for batch_bytes in range(1, len(text) + 2):
        assert rows_of(check(folder / "b.csv", text.encode(), batch_bytes)) == rows


@given(st.text(st.sampled_from('ab,"\n\r'), max_size=200), st.integers(1, 64))
@example('x,p,1\n"open\n', 1)
def test_files_that_misuse_quotes_are_read_as_python_reads_them(
    folder: Path, body: str, batch_bytes: int
) -> None:
    text = ",".join(HEADER) + '\nx"y,z,1\n' + body  # the probe sees the stray quote
    parts = check(folder / "c.csv", text.encode(), batch_bytes)
    assert rows_of(parts) == python_rows(text)[1:]


def test_backslash_escapes_are_found_by_the_probe(folder: Path) -> None:
    rows = [[f'he said \\"no, {i}\\"\nand left', "The Post", str(i)] for i in range(20)]
    body = "".join(f'"{a}","{b}","{c}"\n' for a, b, c in rows)
    path = folder / "d.csv"
    parts = check(path, ("article,publication,n\n" + body).encode(), 50)
    assert not parts[0].layout.regular
    assert len(parts) > 5
    expected = [[a.replace("\\", ""), b, c] for a, b, c in rows]
    assert rows_of(parts) == expected


def test_a_stray_quote_after_the_probe_costs_one_range(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daskingest.sources.textfile.PROBE_BYTES", 300)
    header = [f"c{i}" for i in range(6)] + ["article", "publication"]
    good = [["1", "2", "3", "4", "5", "6", f'a "quoted"\nword, {i}', "P"] for i in range(200)]
    text = csv_text([header, *good])
    at = text.index("word, 100") - 60
    at = text.index("\n1,2,3", at) + 1
    text = text[:at] + '1,2,3,4,5,6,five" disk,P\n' + text[at:]
    path = folder / "e.csv"
    path.write_bytes(text.encode())
    file = open_csv(str(path))
    assert file.layout.regular
    monkeypatch.setattr(boundaries, "_LOOKAHEAD", 256)
    parts = list(file.ranges(500))
    assert rows_of(parts) == python_rows(text)[1:]
    assert len(parts) > 10


def test_a_quote_that_is_never_closed_is_one_reject(folder: Path) -> None:
    text = "article,publication,n\na,P,1\nb,P,2\n" + '"open,P,3\nc,P,4\n'
    parts = check(folder / "f.csv", text.encode(), 8)
    found = [row for part in parts for row in part.rows()]
    assert [row.reason for row in found if isinstance(row, Reject)] == ["quote never closed"]
    assert len(found) == 3


def test_a_row_too_long_to_be_one_loses_nothing_after_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundaries, "MAX_RECORD", 1000)
    head = "article,publication,n\na,P,1\n"
    text = head + '"open,P,2\n' + "line without a quote\n" * 100 + "z,P,3\n" * 50
    path = folder / "g.csv"
    path.write_bytes(text.encode())
    parts = list(open_csv(str(path)).ranges(16))
    found = [row for part in parts for row in part.rows()]
    rejects = [row for row in found if isinstance(row, Reject)]
    assert {row.reason for row in rejects} == {
        "quote never closed",
        "wrong number of fields",
    }
    assert len(found) - len(rejects) == 51


def test_a_field_of_many_megabytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundaries, "_WINDOW", 1 << 20)
    monkeypatch.setattr(boundaries, "_BLOCK", 1 << 20)
    big = "word, \n" * (3 << 20)
    text = csv_text([HEADER, ["a", "P", "1"], [big, "P", "2"], ["b", "P", "3"]])
    parts = check(folder / "h.csv", text.encode(), 1000)
    assert [len(row[0]) for row in rows_of(parts)] == [1, len(big), 1]


def test_ranges_of_compressed_files_have_their_bytes(folder: Path) -> None:
    text = csv_text([HEADER, *([f"a\n{i}", "P", str(i)] for i in range(100))])
    plain, packed = folder / "i.csv", folder / "i.csv.gz"
    plain.write_text(text, newline="")
    packed.write_bytes(gzip.compress(text.encode()))
    mine = list(open_csv(str(packed)).ranges(100))
    assert rows_of(mine) == rows_of(list(open_csv(str(plain)).ranges(100)))
    assert all(part.data is not None for part in mine)
    assert len(mine) > 5


@given(st.lists(st.sampled_from(b'\n\r",ab'), max_size=700).map(bytes))
def test_record_starts(data: bytes) -> None:
    inside, ended, expected = False, True, []
    for i, byte in enumerate(data):
        end = not inside and byte in b"\r\n"
        if ended and not end:
            expected.append(i)
        inside ^= byte == 34
        ended = end
    marks = RecordStarts()
    for at in range(0, len(data), 64):
        marks.add(np.frombuffer(data, np.uint8)[at : at + 64])
    assert list(marks.starts_from(0)) == expected
    middle = len(data) // 2
    assert list(marks.starts_from(middle)) == [i for i in expected if i >= middle]
    assert marks.count(0, middle) == sum(i < middle for i in expected)
    assert marks.count(middle, len(data)) == sum(i >= middle for i in expected)
    assert marks.open_at_end == inside


def test_what_is_regular() -> None:
    assert is_regular(b'a,"b ""c"" d",e\r\n"f"\n', ",")
    assert is_regular(b'"cut off in the mid', ",")
    assert not is_regular(b'a,five" disk\n', ",")
    assert not is_regular(b'"a \\"b\\" c"\n', ",")


def test_records_know_where_they_begin() -> None:
    lines = ["a,é\n", "\n", '"x\n', 'y",b\n']
    data = [line.encode() for line in lines]
    found = list(records(data, Dialect(","), 7))
    assert [(r.offset, r.fields) for r in found] == [(7, ["a", "é"]), (13, ["x\ny", "b"])]


PARTS = st.sampled_from([b"a", b"a,b", b",", b'"', b'"",""', b"\n", b"\r", b"\r\n", b"\0", b" "])
MORE = st.sampled_from(["é".encode(), b"\xe9", b"\\", b'"a\n,""b""",c\n', b"a,b\n", b"a,b\r\n\n"])


@given(
    pieces=st.lists(PARTS | MORE, max_size=20),
    width=st.integers(1, 3),
    dialect=st.sampled_from([Dialect(","), Dialect(",", "\\"), Dialect("a"), Dialect('"')]),
)
@settings(max_examples=300)
def test_a_range_has_the_records_that_the_csv_module_finds(
    pieces: list[bytes], width: int, dialect: Dialect
) -> None:
    """Even where quotes separate the fields, as a file may say that they do."""
    data = b"".join(pieces)
    layout = Layout(dialect, tuple("abc"[:width]), Columns("a", "b"), 0, regular=True)
    part = CsvRange(path="", start=7, end=7 + len(data), data=data, layout=layout)
    expected = list(records(split_lines([data]), dialect, 7)) if data else []
    assert list(part.records()) == expected


@given(st.integers(0, 399), st.integers(1, 3000), st.sampled_from(["2 columns", "commas", "lines"]))
@settings(max_examples=60)
def test_a_stray_quote_damages_its_own_row_only(
    folder: Path, stray: int, batch_bytes: int, kind: str
) -> None:
    """Even if the text itself looks like rows once inside and outside are swapped."""
    text = {
        "2 columns": 'first, line\nsecond, "quoted," line\nthird,line',
        "commas": ",\n,\n,a,\n",
        "lines": "one line\nanother line\n",
    }[kind]
    rows = [["The Post", f"{i} {text}"] for i in range(400)]
    lines = [csv_text([row]) for row in rows]
    lines[stray] = f'The Post,a 5" disk {stray}\n'
    data = "publication,content\n" + "".join(lines)
    path = folder / "j.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daskingest.sources.textfile.PROBE_BYTES", 40)
        patch.setattr(boundaries, "_LOOKAHEAD", 4096)
        patch.setattr(boundaries, "_WINDOW", 4096)
        path.write_text(data, newline="")
        file = open_csv(str(path))
        found = rows_of(list(file.ranges(batch_bytes)))
    assert found == python_rows(data)[1:]
    assert file.count_rows() == 400


def test_what_is_appended_while_reading_is_ignored(folder: Path) -> None:
    path = folder / "k.csv"
    path.write_text("article,publication,n\na,P,1\n")
    file = open_csv(str(path))
    before = file.origin.fingerprint()
    with path.open("a") as out:
        out.write("b,P,2\n")
    assert rows_of(list(file.ranges(10))) == [["a", "P", "1"]]
    assert file.origin.fingerprint() != before
