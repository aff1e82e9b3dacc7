"""Exports all counts of a store to one file."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from daskingest.errors import UsageError
from daskingest.files import completed
from daskingest.spelling import spelled
from daskingest.stores import Store, WordRow

HEADER = ("publication", "word", "label", "count", "name")
_ROWS_AT_ONCE = 100_000

Rows = Iterator[tuple[str, str, str, int, str]]


def write_counts(store: Store, out: Path) -> int:
    """Write one row per publication, word and label, with the word's name, as it is written.

    Returns the number of rows.

    The file appears when it is complete. Raises UsageError if it can't be written, or its name ends
    in neither .csv nor .parquet.
    """
    writers: dict[str, Callable[[Rows, Path], int]] = {
        ".csv": _write_csv,
        ".parquet": _write_parquet,
    }
    write = writers.get(out.suffix.lower())
    if write is None:
        raise UsageError(f"cannot export to {out}: expected a name that ends in .csv or .parquet")
    with completed(out) as part:
        return write(_named(store.all_words()), part)


def _named(rows: Iterator[WordRow]) -> Rows:
    for publication, word, label, count, spelling in rows:
        yield publication, word, label, count, spelled(word, spelling)


def _write_csv(rows: Rows, path: Path) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        while chunk := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            writer.writerows(chunk)
            count += len(chunk)
    return count


def _write_parquet(rows: Rows, path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = (pa.string(), pa.string(), pa.string(), pa.int64(), pa.string())
    schema = pa.schema(list(zip(HEADER, types, strict=True)))
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        while chunk := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            columns = [list(column) for column in zip(*chunk, strict=True)]
            writer.write_table(pa.table(columns, schema=schema))
            count += len(chunk)
    return count
