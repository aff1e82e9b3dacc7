from __future__ import annotations

import datetime
import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from written import Row, opened, rows_of, without_places, write, write_parquet

from daskingest.articles import Article, Reject
from daskingest.errors import DaskingestError, UsageError
from daskingest.sources import parquetrows
from daskingest.sources.datafile import Growth

TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "fixed_size_binary": pa.binary(4),
}


@pytest.mark.parametrize("kind", TYPES)
def test_types_that_hold_text(tmp_path: Path, kind: str) -> None:
    values: list[Any] = ["café"[:3] + "!", None, "one!", "two!", "one!"]
    if "binary" in kind:
        values = [each and each.encode() for each in values]
    text = pa.array(values, TYPES[kind])
    path = write_parquet(tmp_path / "a.parquet", text=text, source=pa.array(["P"] * 5))
    found = without_places(rows_of(opened(path), 1))
    texts = ("caf!", None, "one!", "two!", "one!")
    assert found == [Article(each, "P") if each else "no content" for each in texts]


def test_a_checksum_is_of_the_values_alone(tmp_path: Path) -> None:
    texts = [f"text {i % 5}" if i % 4 else None for i in range(1000)]
    sums = set()
    for i, kind in enumerate((pa.string(), TYPES["dictionary"], pa.large_binary())):
        table = pa.table({"text": pa.array(texts).cast(kind), "source": ["P"] * 1000})
        for size in (7, 1000):
            path = tmp_path / f"{i}-{size}.parquet"
            pq.write_table(table, path, row_group_size=size, use_dictionary=i != 1)
            parts = opened(path).ranges(3000)
            sums.add(tuple((each.start, each.end, each.checksum) for each in parts))
    assert len(sums) == 1


def test_what_is_no_text(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "a.parquet",
        text=pa.array([1, None], pa.int64()),
        source=pa.array([["P"], None], pa.list_(pa.string())),
        body=pa.array([b"caf\xe9", b"two"]),
        nothing=pa.nulls(2),
    )
    file = opened(path)
    [first, second] = rows_of(file)
    assert first == Reject("content is not text", "found int64", 0, 0)
    assert second == Reject("no content", "", 1, 1)
    assert [note.partition(": ")[2] for note in file.notes] == [
        "the column 'text' holds int64, not text, so every row will be rejected; name another with "
        "--content-column",
        "the column 'source' holds list<element: string>, not text, so every row will be rejected; "
        "name another with --publication-column",
    ]
    rows = rows_of(opened(path, content_column="body"))
    assert without_places(rows) == ["invalid UTF-8", "no publication"]
    assert without_places(rows_of(opened(path, content_column="nothing"))) == ["no content"] * 2


def test_dates_may_be_of_other_types(tmp_path: Path) -> None:
    day = datetime.datetime(2016, 6, 9)
    for kind in (pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.date32(), pa.string()):
        dates = pa.array([day, None]).cast(kind)
        path = write_parquet(
            tmp_path / "a.parquet", text=["a", "b"], source=["P"] * 2, date=dates, year=[2016, 2017]
        )
        months = [each.month for each in rows_of(opened(path)) if isinstance(each, Article)]
        assert months == [557, None]
    path = write_parquet(
        tmp_path / "a.parquet",
        text=["a", "b"],
        source=["P"] * 2,
        year=pa.array([2016, None]),
        month=pa.array([6.0, 1.0]),
    )
    months = [each.month for each in rows_of(opened(path)) if isinstance(each, Article)]
    assert months == [557, None]


def test_fields_in_fields_and_doubled_names(tmp_path: Path) -> None:
    meta = pa.array([{"site": {"name": "P", "n": 1}}, {"site": None}, None])
    arrays = [pa.array(["a", "b", "c"]), meta, pa.array(["x", "y", "z"])]
    table = pa.Table.from_arrays(arrays, names=["text", "meta", "text"])
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    names = {"publication_column": "meta.site.name"}
    with pytest.raises(UsageError, match=r"'text' \(column 1\) and 'text' \(column 4\)"):
        opened(path, **names)
    file = opened(path, content_column="text#2", **names)
    assert file.names == ("text", "meta.site.name", "meta.site.n", "text")
    found = without_places(rows_of(file, 1))
    assert found == [Article("x", "P"), "no publication", "no publication"]
    found = without_places(rows_of(opened(path, content_column="text#1", **names), 1))
    assert found[0] == Article("a", "P")
    pq.write_table(table.rename_columns(["text", "meta", "meta.site.name"]), path)
    assert opened(path, publication_column="meta.site.n").columns.publication == "meta.site.n"
    with pytest.raises(UsageError, match="choose one with --publication-column"):
        opened(path, **names)


def test_a_column_that_is_missing(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", title=["a"], source=["P"])
    with pytest.raises(UsageError, match=r"no column for the content.*'title', 'source'"):
        opened(path)


def test_a_file_without_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [])
    file = opened(path)
    assert rows_of(file) == []
    assert file.size_of(file.extent) == 0


ARTICLES: list[Row] = [(f"text {i} " * (i % 50), f"P{i % 3}", "2016-06-09") for i in range(400)]


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_damage_is_told_in_a_line_or_does_not_matter(tmp_path: Path, compression: str) -> None:
    path = write(
        tmp_path / "a.parquet",
        ARTICLES,
        compression=compression,
        row_group_size=100,
        data_page_size=1000,
        write_page_checksum=True,
    )
    data = path.read_bytes()
    expected = without_places(rows_of(opened(path)))
    chance = random.Random(1)
    told = 0
    for i in range(120):
        at = chance.randrange(4, len(data))
        damaged = data[:at]
        if i % 3:
            damaged += bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
        path.write_bytes(damaged)
        try:
            assert without_places(rows_of(opened(path))) == expected
        except DaskingestError as error:
            told += 1
            assert "\n" not in str(error)
            assert "a.parquet" in str(error)
    assert told > 50


def test_an_encrypted_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PARE" + bytes(100) + b"PARE")
    with pytest.raises(UsageError, match=r"is an encrypted Parquet file: decrypt it first"):
        opened(path)


def test_a_file_that_was_written_anew_with_more_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ARTICLES[:100])
    file = opened(path)
    assert file.growth(0, 100) is None
    write(path, ARTICLES)
    assert opened(path).growth(0, 100) == Growth(100)


def test_a_group_of_rows_is_never_in_memory_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pandas writes one group of a million rows; so many of 3 kB are 3 GB."""
    texts: list[Row] = [(f"{i} " * 2000, "P", None) for i in range(5000)]
    path = write(tmp_path / "a.parquet", texts, use_dictionary=False)
    file = opened(path)
    before, most = pa.total_allocated_bytes(), 0
    for part in file.ranges(100_000):
        most = max(most, pa.total_allocated_bytes() - before)
        assert len(list(part.rows())) == part.row_count
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 30 << 20


def test_its_size_is_about_that_of_its_ranges(tmp_path: Path) -> None:
    for articles in (ARTICLES, [("the same " * 100, "P", None)] * 1000):
        file = opened(write(tmp_path / "a.parquet", articles, row_group_size=100))
        size = sum(each.size for each in file.ranges())
        assert file.size_of(file.extent) == pytest.approx(size, rel=0.3)


def test_readers_are_few_and_go_on_where_ranges_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []
    begin = parquetrows.Forward.__init__

    def watched(self: parquetrows.Forward, file: Any, leaves: Any, start: int = 0) -> None:
        starts.append(start)
        begin(self, file, leaves, start)

    path = write(tmp_path / "a.parquet", ARTICLES, row_group_size=10_000)
    parts = list(opened(path).ranges(1000))
    monkeypatch.setattr(parquetrows.Forward, "__init__", watched)
    order = list(range(len(parts)))
    for i in range(3, len(order) - 3, 5):  # some come a little later than they should
        order[i], order[i + 2] = order[i + 2], order[i]
    for i in order:
        list(parts[i].rows())
    assert len(starts) <= 3
    write(path, ARTICLES[::-1])
    with pytest.raises(DaskingestError, match=r"rows 0 to .* are not what they were"):
        list(parts[0].rows())


def test_bytes_of_a_stream_are_a_file(tmp_path: Path) -> None:
    assert parquetrows.opened(
        io.BytesIO(write(tmp_path / "a.parquet", ARTICLES).read_bytes())
    ).metadata.num_rows == len(ARTICLES)
