"""A file is what its first bytes tell, and the same articles are the same in every format."""

from __future__ import annotations

import gzip
import itertools
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from written import Row, opened, rows_of, without_places, write

import daskingest
from daskingest.articles import Article
from daskingest.errors import UsageError
from daskingest.progress import Progress
from daskingest.settings import FileSettings, UploadSettings
from daskingest.sources.datafile import DataFile
from daskingest.sources.gathering import gather
from daskingest.sources.opening import open_file
from daskingest.upload.parcels import length_of, parcels

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [
        "",
        " \n",
        "a,b",
        'say "no"',
        "one\r\ntwo\rthree\n",
        "é\0",
        "\ufeff",
        "{}",
        "sep=;",
        "x" * 2000,
    ]
)
rows = st.lists(
    st.tuples(
        texts | st.none(),
        st.sampled_from(["The Post", " the  post", "", "é", "p" * 1001]) | texts | st.none(),
        st.sampled_from(["2016-06-09", "no date", "", "June 1, 2016"]) | st.none(),
    ),
    max_size=30,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


@given(
    rows,
    st.integers(1, 5000),
    st.sampled_from([None, "gz", "zip"]),
    st.fixed_dictionaries(
        {
            "row_group_size": st.integers(1, 10),
            "use_dictionary": st.booleans(),
            "compression": st.sampled_from(["none", "snappy", "zstd"]),
            "data_page_size": st.sampled_from([1, 1 << 20]),
        }
    ),
    st.booleans(),
)
@hypothesis_settings(max_examples=100)
def test_the_same_articles_are_the_same_in_every_format(
    folder: Path,
    articles: list[Row],
    batch_bytes: int,
    packing: str | None,
    options: dict[str, Any],
    ensure_ascii: bool,
) -> None:
    plain = write(folder / "a.csv", articles)
    expected = without_places(rows_of(opened(plain), batch_bytes))
    assert len(expected) == len(articles)
    lines = write(folder / "a.jsonl", [*articles, ("", "", "")], ensure_ascii=ensure_ascii)
    table = write(folder / "a.parquet", articles, **options)
    for path in (plain, lines, table):
        found = rows_of(opened(packed(path, packing)), batch_bytes)
        if path == lines:  # whose columns are those of its rows: there must be one
            assert without_places(found.pop() for _ in [0]) == ["no content"]
        assert without_places(found) == expected


def packed(path: Path, packing: str | None) -> Path:
    """The file, packed."""
    if packing is None:
        return path
    place = path.with_name(f"{path.name}.{packing}")
    if packing == "gz":
        place.write_bytes(gzip.compress(path.read_bytes(), 1))
    else:
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
    return place


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_ten_files_of_a_folder_are_as_one(folder: Path, kind: str) -> None:
    articles: list[Row] = [(f"text {i}" if i % 7 else "", "P", None) for i in range(100)]
    inside = folder / kind
    inside.mkdir()
    for i in range(10):
        write(inside / f"{i}.{kind}", articles[10 * i : 10 * i + 10])
    found = gather([str(inside)], lambda each: open_file(each, FileSettings()), Progress())
    parts = [without_places(rows_of(each)) for each in found.files]
    one = write(folder / f"one.{kind}", articles)
    assert list(itertools.chain(*parts)) == without_places(rows_of(opened(one)))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_ranges_do_not_depend_on_what_was_read_before(folder: Path, kind: str) -> None:
    articles: list[Row] = [(f"text {i} " * 20, "P", None) for i in range(3000)]
    file = opened(write(folder / f"many.{kind}", articles, row_group_size=1000))
    parts = list(file.ranges(5000))
    forward = [list(each.rows()) for each in parts]
    assert [list(each.rows()) for each in reversed(parts)] == forward[::-1]
    assert sum(map(len, forward)) == 3000
    some = parts[3:]
    extent = type(file.extent)(some[0].start, None, some[0].first_row)
    assert list(file.ranges(5000, extent)) == some


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_that_changed_are_refused(folder: Path, kind: str) -> None:
    articles: list[Row] = [(f"text {i}", "P", None) for i in range(300)]
    path = write(folder / f"changed.{kind}", articles, compression="none")
    parts = list(opened(path).ranges(1000))
    write(path, [*articles[:250], ("text !!!", "P", None), *articles[251:]], compression="none")
    list(parts[0].rows())
    with pytest.raises(Exception, match="are not what they were when the run began"):
        [list(each.rows()) for each in parts]


NOTHING = {
    "x.pdf": (b"%PDF-1.7\n%\xe2\xe3\n", "a PDF document.*export"),
    "x.db": (b"SQLite format 3\0" + bytes(100), "an SQLite database.*export"),
    "x.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "older Excel or Word document.*save it as CSV"),
    "x.feather": (b"ARROW1\0\0", "Arrow or Feather.*Parquet"),
    "x.avro": (b"Obj\x01\x04", "Avro"),
    "x.orc": (b"ORC\n\x05\x12", "ORC"),
    "x.png": (b"\x89PNG\r\n\x1a\n", "an image"),
    "x.html": (b"\n<!DOCTYPE html>\n<html>", "an HTML page.*login"),
    "x.csv": (b"<html><body>Sign in</body>", "an HTML page"),
    "x.xml": (b"<?xml version='1.0'?><a/>", "an XML document"),
    "x.rtf": (b"{\\rtf1\\ansi", "a rich text document"),
    "x.csv.gz": (gzip.compress(gzip.compress(b"text,source\na,b\n")), "gzip data, compressed once"),
    "x.json": (b'\n[{"text": "a"},\n', r"a JSON array.*jq -c '.\[\]'"),
    "y.json": (b'{\n  "text": "a",\n  "source": "b"\n}\n', "over several lines.*jq -c ."),
    "x.jsonl": (b'{"text": "a", "sou', "no line of its beginning is a JSON object"),
    "y.jsonl": (b'{"title": "a"}\n', "no column for the content.*'title'.*--content-column"),
    "x.parquet": (b"PARE\0\0", "encrypted Parquet"),
    "y.parquet": (b"PBR1\0\0\x15\x04", "not begin as a Parquet file does.*fetch it again"),
    "z.csv": (b"", "is empty: expected a CSV file with a header line"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_is_no_file_of_articles_is_named(tmp_path: Path, name: str) -> None:
    data, message = NOTHING[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=message) as raised:
        opened(tmp_path / name)
    assert "\n" not in str(raised.value)
    assert name in str(raised.value)


def test_a_name_that_tells_another_format_is_mentioned(tmp_path: Path) -> None:
    articles: list[Row] = [("a", "P", None)]
    for ending, other, kind in (
        ("csv", "jsonl", "CSV"),
        ("jsonl", "parquet", "JSON Lines"),
        ("parquet", "csv", "Parquet"),
    ):
        path = write(tmp_path / f"a.{ending}", articles)
        assert opened(path).notes == ()
        path = path.rename(tmp_path / f"b.{other}")
        file = opened(path)
        assert rows_of(file) == [Article("a", "P")]
        assert file.kind == kind
        assert file.notes == (f"{path} is {kind}, whatever its name says",)


def test_run_csv_takes_csv_alone(tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        with pytest.raises(UsageError) as raised:
            opened(path, only="CSV")
        return str(raised.value)

    articles: list[Row] = [("a", "P", None)]
    assert isinstance(opened(write(tmp_path / "a.csv", articles), only="CSV").columns.content, str)
    for name, kind in (("a.jsonl", "JSON Lines"), ("a.parquet", "Parquet")):
        message = refused(write(tmp_path / name, articles))
        assert f"is {kind}, and run-csv takes CSV alone: use `daskingest run`" in message


def test_files_tell_what_they_are(tmp_path: Path) -> None:
    def told(name: str) -> tuple[str, tuple[str, ...], str, str]:
        file: DataFile = opened(write(tmp_path / name, [("a", "P", "2016-01-01")]))
        return str(file.kind), file.names, file.traits, file.unit

    names = ("id", "article", "publication", "date")
    assert told("a.csv") == (
        "CSV",
        names,
        "fields separated by commas, quotes in them doubled",
        "bytes",
    )
    assert told("a.jsonl") == ("JSON Lines", names, "an object on each line", "bytes")
    kind, columns, traits, unit = told("a.parquet")
    assert (kind, columns, unit) == ("Parquet", names, "rows")
    assert traits.startswith("1 group of rows, written by parquet-cpp")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_articles_are_a_data_frame(folder: Path, kind: str) -> None:
    articles: list[Row] = [(f"text {i}" if i % 7 else "", "P", None) for i in range(100)]
    path = write(folder / f"frame.{kind}", articles, row_group_size=9)
    frame = daskingest.read_articles(str(path), batch_bytes=500)
    assert frame.npartitions > 3
    found = frame.compute(scheduler="sync")
    assert list(found.columns) == ["publication", "content"]
    assert list(found["content"]) == [text for text, *_ in articles if text]
    with pytest.raises(UsageError, match="expected 'body', found the columns"):
        daskingest.read_articles(str(path), content_column="body")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_upload_sends_each_article_of_any_format(folder: Path, kind: str) -> None:
    articles: list[Row] = [(f"text {i}" if i % 7 else "", "P", None) for i in range(100)]
    file = opened(write(folder / f"sent.{kind}", articles))
    settings = UploadSettings(batch=10)
    sent = list(parcels(file, settings))
    texts = [json.loads(item.data)["content"] for each in sent for item in each.items]
    assert texts == [text for text, *_ in articles if text]
    assert sum(len(each.rejects) for each in sent) == 15
    length = length_of(file, settings) or 0
    assert length == file.extent.end
    assert [each.position for each in sent] == sorted({each.position for each in sent})
    assert all(each.position < length for each in sent)
