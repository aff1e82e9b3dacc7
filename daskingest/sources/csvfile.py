"""A CSV file of articles: its dialect, its columns and its rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from daskingest.articles import Columns, FindColumns
from daskingest.errors import UsageError
from daskingest.sources.boundaries import cuts
from daskingest.sources.checksum import Kind, checksum
from daskingest.sources.containers import find_origin
from daskingest.sources.csvrows import CsvRange, Dialect, Layout, Lines, is_regular, records
from daskingest.sources.datafile import Extent
from daskingest.sources.encodings import UTF8_MARK
from daskingest.sources.formats import Format
from daskingest.sources.origin import Origin
from daskingest.sources.textfile import Text, TextFile, open_text, split_lines

_DELIMITERS = (",", ";", "\t", "|")
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SEPARATOR = re.compile(rb'"?sep=([\t -~])"?\r?\n', re.IGNORECASE)  # as Excel writes it


@dataclass(frozen=True, slots=True)
class CsvFile(TextFile[CsvRange]):
    """A CSV file, see `DataFile`. Open it with `open_csv`."""

    origin: Origin
    layout: Layout
    notes: tuple[str, ...] = ()
    kind = Format.CSV

    @property
    def names(self) -> tuple[str, ...]:
        """See `DataFile.names`."""
        return self.layout.names

    @property
    def traits(self) -> str:
        """See `DataFile.traits`."""
        delimiter, escape = self.layout.dialect.delimiter, self.layout.dialect.escape
        separated = _DELIMITER_NAMES.get(delimiter, repr(delimiter))
        quotes = "doubled" if escape is None else 'written as \\"'
        return f"fields separated by {separated}, quotes in them {quotes}"

    @property
    def columns(self) -> Columns:
        """See `DataFile.columns`."""
        return self.layout.columns

    @property
    def data_start(self) -> int:
        """See `TextFile.data_start`."""
        return self.layout.data_start

    @property
    def slow(self) -> str:
        """See `DataFile.slow`."""
        if self.layout.regular:
            return ""
        return (
            "it does not follow RFC 4180 in its quoting, so it must be read row by row to find "
            "where rows end"
        )

    def _cut(
        self, stream: BinaryIO, batch_bytes: int, extent: Extent, kind: Kind
    ) -> Iterator[CsvRange]:
        row = extent.first_row
        for part in cuts(stream, self.layout, batch_bytes, extent):
            with part.content as data:
                digest, kept = checksum(data, kind), bytes(data) if self.origin.packed else None
            yield CsvRange(
                path=self.origin.path,
                layout=self.layout,
                start=part.start,
                end=part.end,
                first_row=row,
                row_count=part.rows,
                checksum=digest,
                data=kept,
            )
            row += part.rows

    def _offsets(self, blocks: Iterable[bytes], offset: int) -> Iterator[int]:
        found = records(split_lines(blocks), self.layout.dialect, offset)
        return (each.offset for each in found)


def open_csv(
    path: str | Origin,
    content: str | None = None,
    publication: str | None = None,
    date: str | None = None,
    dates: bool = True,
    encoding: str | None = None,
) -> CsvFile:
    """Open a file as CSV, whatever it looks like, and find its columns, see `Columns.find`.

    Raises UsageError if there is no such file, if it is empty or in another encoding, or if it has
    no column for the content or the publication.
    """
    text = open_text(find_origin(path) if isinstance(path, str) else path, encoding)
    find = partial(Columns.find, content=content, publication=publication, date=date, dates=dates)
    return csv_file(text, find)


def csv_file(text: Text, find: FindColumns) -> CsvFile:
    """A text as CSV; raises as `open_csv`."""
    return CsvFile(text.origin, _probe(text, find), text.notes)


def _probe(text: Text, find: FindColumns) -> Layout:
    name, head = text.origin.called, text.head
    begin = len(UTF8_MARK) if head.startswith(UTF8_MARK) else 0
    delimiters: tuple[str, ...] = _DELIMITERS
    if stated := _SEPARATOR.match(head, begin):
        delimiters, begin = (stated[1].decode(),), stated.end()
    lines = head[begin:].splitlines(keepends=True)
    headers = {d: next(records(lines, Dialect(d), begin), None) for d in delimiters}
    found = {d: header.fields for d, header in headers.items() if header is not None}
    if not found:
        raise UsageError(f"{name} is empty: expected a CSV file with a header line")
    delimiter = max(found, key=lambda d: len(found[d]))  # the first of equals: the comma
    names = found[delimiter]
    try:
        columns = find(names)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    sample = head[begin:] if text.whole else head[begin : head.rfind(b"\n") + 1]
    regular = is_regular(sample, delimiter)
    dialect = _dialect(delimiter, sample, regular, len(names))
    # The header may span several lines: it ends where the csv module has read the first row.
    feed = Lines(lines, begin)
    next(csv.reader(feed, delimiter=delimiter))
    while not head[begin : feed.offset].strip():
        next(csv.reader(feed, delimiter=delimiter))
    return Layout(dialect, tuple(names), columns, feed.offset, regular)


def _dialect(delimiter: str, sample: bytes, regular: bool, width: int) -> Dialect:
    plain, escaped = Dialect(delimiter), Dialect(delimiter, "\\")
    if regular or b'\\"' not in sample:
        return plain
    return min(plain, escaped, key=lambda each: _misfits(sample, each, width))


def _misfits(sample: bytes, dialect: Dialect, width: int) -> int:
    rows = list(records(io.BytesIO(sample), dialect))[:-1]  # the last may be cut off
    return sum(len(row.fields) != width for row in rows)
