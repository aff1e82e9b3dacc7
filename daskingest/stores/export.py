"""Exports all counts of a store to one file."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from daskingest.errors import UsageError
from daskingest.files import completed
from daskingest.months import month_text
from daskingest.spelling import spelled
from daskingest.stores import ReadableStore

HEADER = ("publication", "word", "label", "count", "name")
MONTHS_HEADER = ("publication", "word", "month", "count")
_ROWS_AT_ONCE = 100_000
_STANDARD_OUTPUT = 1

Rows = Iterator[tuple[str | int, ...]]


def write_counts(store: ReadableStore, out: Path) -> int:
    """Write one row per publication, word and label, with the word's name, as it is written.

    Returns the number of rows. The file appears when it is complete; `-` is standard output, as CSV
    in UTF-8. Raises UsageError if it can't be written, or its name ends in neither .csv nor
    .parquet, and BrokenPipeError if nobody reads standard output any more.
    """
    rows = (
        (publication, word, label, count, spelled(word, spelling))
        for publication, word, label, count, spelling in store.all_words()
    )
    return _write(HEADER, rows, out)


def write_months(store: ReadableStore, out: Path) -> int:
    """Write one row per publication, word and month, of articles with a date; see `write_counts`.

    A month is written `2016-06`.
    """
    rows = (
        (each.name, word, month_text(month), count)
        for each in sorted(store.publications(), key=lambda each: each.key)
        for word, months in store.all_months(each.key)
        for month, count in sorted(months.items())
    )
    return _write(MONTHS_HEADER, rows, out)


def _write(header: Sequence[str], rows: Rows, out: Path) -> int:
    if str(out) == "-":
        return _write_csv(header, rows, _STANDARD_OUTPUT)
    writers: dict[str, Callable[[Sequence[str], Rows, Path], int]] = {
        ".csv": _write_csv,
        ".parquet": _write_parquet,
    }
    write = writers.get(out.suffix.lower())
    if write is None:
        raise UsageError(f"cannot export to {out}: expected a name that ends in .csv or .parquet")
    with completed(out) as part:
        return write(header, rows, part)


def _write_csv(header: Sequence[str], rows: Rows, path: Path | int) -> int:
    count = 0
    close = path != _STANDARD_OUTPUT
    with open(path, "w", newline="", encoding="utf-8", closefd=close) as file:
        writer = csv.writer(file)
        writer.writerow(header)
        while chunk := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            writer.writerows(chunk)
            count += len(chunk)
    return count


def _write_parquet(header: Sequence[str], rows: Rows, path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.int64() if name == "count" else pa.string()) for name in header])
    count = 0
    with path.open("wb") as file, pq.ParquetWriter(file, schema) as writer:
        while chunk := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            columns = [list(column) for column in zip(*chunk, strict=True)]
            writer.write_table(pa.table(columns, schema=schema))
            count += len(chunk)
    return count
