"""A CSV file of articles: its dialect, its columns and its rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from daskingest.articles import Columns
from daskingest.errors import UsageError
from daskingest.sources.boundaries import cuts
from daskingest.sources.checksum import Kind, checksum
from daskingest.sources.containers import find_origin
from daskingest.sources.csvrows import CsvRange, Dialect, Layout, Lines, is_regular, records
from daskingest.sources.datafile import PROBE_BYTES, Extent
from daskingest.sources.origin import Origin
from daskingest.sources.streams import read_fully, reading
from daskingest.sources.textfile import TextFile

_DELIMITERS = (",", ";", "\t", "|")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class CsvFile(TextFile[CsvRange]):
    """A CSV file, see `DataFile`. Open it with `open_csv`."""

    origin: Origin
    layout: Layout

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

    def _offsets(self, lines: Iterable[bytes], offset: int) -> Iterator[int]:
        return (each.offset for each in records(lines, self.layout.dialect, offset))


def open_csv(
    path: str | Origin,
    content: str | None = None,
    publication: str | None = None,
    date: str | None = None,
    dates: bool = True,
) -> CsvFile:
    """Probe a file and find its columns, see `Columns.find`.

    Raises UsageError if there is no such file, if it is a directory, empty or UTF-16, or if it has
    no column for the content or the publication.
    """
    origin = find_origin(path) if isinstance(path, str) else path
    with reading(origin.path), origin.open() as stream:
        head = read_fully(stream, PROBE_BYTES)
    find = partial(Columns.find, content=content, publication=publication, date=date, dates=dates)
    return CsvFile(origin, _probe(origin.name or origin.path, head, find))


def _probe(path: str, head: bytes, find: Callable[[Sequence[str]], Columns]) -> Layout:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UsageError(f"{path} is UTF-16: expected UTF-8; convert it with `iconv -t UTF-8`")
    begin = len(_BOM) if head.startswith(_BOM) else 0
    lines = head[begin:].splitlines(keepends=True)
    headers = {d: next(records(lines, Dialect(d), begin), None) for d in _DELIMITERS}
    found = {d: header.fields for d, header in headers.items() if header is not None}
    if not found:
        raise UsageError(f"{path} is empty: expected a CSV file with a header line")
    delimiter = max(found, key=lambda d: len(found[d]))  # the first of equals: the comma
    names = found[delimiter]
    try:
        columns = find(names)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    plain, escaped = Dialect(delimiter), Dialect(delimiter, "\\")
    sample = head[begin : head.rfind(b"\n") + 1] if len(head) == PROBE_BYTES else head[begin:]
    regular = is_regular(sample, delimiter)
    dialect = plain
    if not regular and b'\\"' in sample:
        width = len(names)
        dialect = min(plain, escaped, key=lambda each: _misfits(sample, each, width))
    # The header may span several lines: it ends where the csv module has read the first row.
    feed = Lines(lines, begin)
    next(csv.reader(feed, delimiter=delimiter))
    while not head[begin : feed.offset].strip():
        next(csv.reader(feed, delimiter=delimiter))
    return Layout(dialect, tuple(names), columns, feed.offset, regular)


def _misfits(sample: bytes, dialect: Dialect, width: int) -> int:
    rows = list(records(io.BytesIO(sample), dialect))[:-1]  # the last may be cut off
    return sum(len(row.fields) != width for row in rows)
