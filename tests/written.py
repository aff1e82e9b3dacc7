"""The same articles, written in each format."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from daskingest.articles import Article, Reject
from daskingest.settings import FileSettings
from daskingest.sources.datafile import DataFile
from daskingest.sources.opening import open_file

COLUMNS = ("id", "article", "publication", "date")
Row = tuple[str | None, str | None, str | None]
"""An article's text, publication and date."""


def write(path: Path, rows: Sequence[Row], **options: Any) -> Path:
    """Write a file, in the format that the name's ending tells."""
    numbered = [(str(i), *row) for i, row in enumerate(rows)]
    match path.suffix:
        case ".csv":
            with path.open("w", encoding="utf-8", newline="") as file:  # None is empty
                csv.writer(file, quoting=csv.QUOTE_ALL).writerows([COLUMNS, *numbered])
        case ".jsonl":
            objects = (dict(zip(COLUMNS, row, strict=True)) for row in numbered)
            ascii_only = options.get("ensure_ascii", False)
            lines = (json.dumps(each, ensure_ascii=ascii_only) + "\n" for each in objects)
            path.write_bytes("".join(lines).encode())
        case ".parquet":
            columns = list(zip(*numbered, strict=True)) or [()] * len(COLUMNS)
            arrays = [pa.array(list(each), pa.string()) for each in columns]
            pq.write_table(pa.table(dict(zip(COLUMNS, arrays, strict=True))), path, **options)
    return path


def write_parquet(path: Path, **columns: Any) -> Path:
    """Write columns, in a Parquet file."""
    pq.write_table(pa.table(columns), path)
    return path


def opened(path: Path | str, **options: Any) -> DataFile:
    """A file of any format."""
    return open_file(str(path), FileSettings(**options))


def rows_of(file: DataFile, batch_bytes: int = 1 << 20) -> list[Article | Reject]:
    """All rows of a file, whose ranges are looked at on the way."""
    found: list[tuple[int, Article | Reject]] = []
    row, end = 0, file.extent.start
    for part in file.ranges(batch_bytes):
        rows = list(part.placed_rows())
        assert (part.first_row, part.row_count) == (row, len(rows))
        assert part.start == end
        assert all(part.start <= place < part.end for place, _ in rows)
        places = [each.row for _, each in rows if isinstance(each, Reject)]
        assert places == [i for i, (_, each) in enumerate(rows) if isinstance(each, Reject)]
        row, end = row + len(rows), part.end
        found += rows
    assert file.count_rows() == row
    assert [place for place, _ in found] == sorted({place for place, _ in found})
    assert all(each.offset == place for place, each in found if isinstance(each, Reject))
    return [each for _, each in found]


def without_places(rows: Iterable[Article | Reject]) -> list[Article | str]:
    """The articles, and of rejects the reasons."""
    return [each.reason if isinstance(each, Reject) else each for each in rows]
