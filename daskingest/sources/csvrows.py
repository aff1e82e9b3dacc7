"""The rows of CSV: what Python's csv module finds, and what it does not tell.

There are three additions: an empty line is not a row, a row that is not valid UTF-8 is a reject,
and so is a row whose quote is never closed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from daskingest.articles import Article, Columns, Reject, Unusable, article_from, column_index
from daskingest.sources.datafile import INVALID_UTF8, TextRange
from daskingest.sources.textfile import split_lines

WRONG_FIELDS = "wrong number of fields"
NEVER_CLOSED = "quote never closed"

_SOMETHING = re.compile(rb"[^\r\n]")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are separated. `escape` is a backslash for files that write a quote as `\\"`."""

    delimiter: str
    escape: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """What the start of a file shows: its dialect, its columns, and where its data starts.

    `regular` says that quotes are used according to RFC 4180, as far as was probed; then the ends
    of rows can be found by counting quotes.
    """

    dialect: Dialect
    names: tuple[str, ...]
    columns: Columns
    data_start: int
    regular: bool

    @property
    def width(self) -> int:
        """The number of fields in a row."""
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Record:
    """A row as it is in the file: its offset, its fields, and how it is damaged, if it is."""

    offset: int
    fields: list[str]
    damage: str | None


class Lines:
    """Feeds lines of bytes to a csv.reader as text, and tracks what the reader does not."""

    def __init__(self, lines: Iterable[bytes], offset: int) -> None:
        self._lines = iter(lines)
        self.offset = offset  # of the next line
        self.invalid = False
        self.exhausted = False

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        try:
            line = next(self._lines)
        except StopIteration:
            self.exhausted = True
            raise
        self.offset += len(line)
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.invalid = True
            return line.decode(errors="replace")


def records(lines: Iterable[bytes], dialect: Dialect, offset: int = 0) -> Iterator[Record]:
    """The rows in `lines`, the first of which begins at `offset`. Empty lines yield nothing."""
    csv.field_size_limit((1 << 31) - 1)  # process-wide; the default is 131,072
    feed = Lines(lines, offset)
    reader = csv.reader(feed, delimiter=dialect.delimiter, escapechar=dialect.escape)
    while True:
        start, feed.invalid = feed.offset, False
        fields = next(reader, None)
        if fields is None:
            return
        if fields:
            # The reader asks for a line after the last one only if a quote is still open.
            damage = NEVER_CLOSED if feed.exhausted else INVALID_UTF8 if feed.invalid else None
            yield Record(start, fields, damage)


def well_formed(layout: Layout) -> re.Pattern[bytes]:
    """Matches one whole row of RFC 4180 that has the layout's fields, which are its groups."""
    delimiter = re.escape(layout.dialect.delimiter.encode())
    field = rb'("(?:[^"]++|"")*+"|(?!")[^"\r\n' + delimiter + rb"]*+)"
    return re.compile(delimiter.join([field] * layout.width) + rb"(?=[\r\n]|\Z)")


def _well_formed_records(data: bytes, layout: Layout, offset: int) -> Iterator[tuple[Record, int]]:
    """The rows before the first that is not well-formed, each with where it ends.

    What the csv module would make of them is certain, and this takes half the time.
    """
    match, at = well_formed(layout).match, 0
    while (begun := _SOMETHING.search(data, at)) and (row := match(data, begun.start())):
        try:
            fields = [
                (each[1:-1].replace(b'""', b'"') if each[:1] == b'"' else each).decode()
                for each in row.groups()
            ]
        except UnicodeDecodeError:
            return
        yield Record(offset + row.start(), fields, None), row.end()
        at = row.end()


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRange(TextRange):
    """A range of whole rows of a CSV file."""

    layout: Layout

    def records(self) -> Iterator[Record]:
        """The rows as they are in the file."""
        data, at = self.read(), 0
        if self.layout.dialect.escape is None:
            for record, end in _well_formed_records(data, self.layout, self.start):
                yield record
                at = end
        if rest := data[at:]:
            yield from records(split_lines([rest]), self.layout.dialect, self.start + at)

    def placed_rows(self) -> Iterator[tuple[int, Article | Reject]]:
        """See `DataRange.placed_rows`; places are byte offsets."""
        names, columns = self.layout.names, self.layout.columns
        wanted = (columns.content, columns.publication, *columns.dates)
        at = {name: i for name in wanted if (i := column_index(names, name)) is not None}
        for row, record in enumerate(self.records()):
            reason, detail = record.damage, ""
            if reason is None and len(record.fields) != len(names):
                reason = WRONG_FIELDS
                detail = f"expected {len(names)}, found {len(record.fields)}"
            if reason is None:
                try:
                    raw = {name: record.fields[i] for name, i in at.items()}
                    yield record.offset, article_from(raw, columns)
                    continue
                except Unusable as problem:
                    reason, detail = problem.reason, problem.detail
            yield record.offset, Reject(reason, detail, row, record.offset)


def is_regular(sample: bytes, delimiter: str) -> bool:
    """Whether quotes are only around whole fields, and doubled inside them (RFC 4180)."""
    between = delimiter.encode() + b"\r\n"
    inside = False
    at = sample.find(b'"')
    while at >= 0:
        if not inside:
            if at and sample[at - 1] not in between:
                return False
            inside = True
        elif sample[at + 1 : at + 2] == b'"':
            at += 1
        elif at + 1 < len(sample) and sample[at + 1] not in between:
            return False
        else:
            inside = False
        at = sample.find(b'"', at + 1)
    return True
