"""A CSV file of articles: its dialect, and the rows in a range of its bytes.

Rows are what Python's csv module finds in the file, with three additions: an empty line is not a
row, a row that is not valid UTF-8 is a reject, and so is a row whose quote is never closed.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from fsspec.core import url_to_fs
from fsspec.utils import infer_compression

from daskingest.articles import Article, Columns, Reject, Unusable, article_from
from daskingest.errors import DaskingestError, UsageError
from daskingest.sources.checksum import checksum, matches
from daskingest.sources.streams import blocks_of, open_stream, read_fully, reading, skip

PROBE_BYTES = 1 << 20
MAX_RECORD = 128 << 20
"""Longest row, in bytes. Beyond that, a quote was opened and never closed: the row is a reject that
ends at the next line that looks like a row."""

_DELIMITERS = (",", ";", "\t", "|")
_FINGERPRINT_SAMPLES = 32
_FINGERPRINT_BYTES = 64 << 10
_HEAD_BYTES = 64 << 10
_BOM = b"\xef\xbb\xbf"

INVALID_UTF8 = "invalid UTF-8"
WRONG_FIELDS = "wrong number of fields"
NEVER_CLOSED = "quote never closed"


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
class Extent:
    """Whole rows of a file, `first_row` of them the first: bytes [start, end); None: to its end."""

    start: int
    end: int | None = None
    first_row: int = 0


@dataclass(frozen=True, slots=True)
class Growth:
    """Where the rows begin that a file grew by, and the row that was not all there before."""

    start: int
    broken: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Record:
    """A row as it is in the file: its offset, its fields, and how it is damaged, if it is."""

    offset: int
    fields: list[str]
    damage: str | None


class _Lines:
    """Feeds lines of bytes to a csv.reader as text, and tracks what the reader does not."""

    def __init__(self, lines: Iterable[bytes], offset: int) -> None:
        self._lines = iter(lines)
        self.offset = offset  # of the next line
        self.invalid = False
        self.exhausted = False

    def __iter__(self) -> _Lines:
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


def split_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream, ends kept; they end at \\n, \\r\\n or \\r, as they do for csv."""
    tail = b""
    for block in blocks:
        lines = (tail + block).splitlines(keepends=True)
        tail = lines.pop()  # may continue in the next block, if only with the \n of a \r\n
        yield from lines
    if tail:
        yield tail


def records(lines: Iterable[bytes], dialect: Dialect, offset: int = 0) -> Iterator[Record]:
    """The rows in `lines`, the first of which begins at `offset`. Empty lines yield nothing."""
    csv.field_size_limit((1 << 31) - 1)  # process-wide; the default is 131,072
    feed = _Lines(lines, offset)
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


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file, local or anywhere that fsspec can read. Open it with `open_csv`.

    `compression` is fsspec's name of the compression, from the file's extension. Offsets count
    decompressed bytes.
    """

    path: str
    size: int
    compression: str | None
    layout: Layout

    def open(self) -> BinaryIO:
        """The file as a stream of (decompressed) bytes."""
        return open_stream(self.path, self.compression)

    def size_now(self) -> int:
        """Its size in bytes, which may have changed since it was opened."""
        with reading(self.path):
            fs, inner = url_to_fs(self.path)
            return int(fs.info(inner)["size"])

    def head(self, size: int) -> str:
        """The checksum of what the file, cut to this size, begins with."""
        with reading(self.path), open_stream(self.path, None) as stream:
            return checksum(read_fully(stream, min(size, _HEAD_BYTES)))

    def fingerprint(self, size: int | None = None) -> str:
        """16 hexadecimal digits for the file's size and samples of its content, not its name.

        The same for a copy of the file on another machine. With `size` it is that of the file cut
        to so many bytes. Two files may share it: see `CsvRange.checksum` for what tells them apart.
        """
        if size is None:
            size = self.size_now()
        with reading(self.path), open_stream(self.path, None) as stream:
            digest = hashlib.sha256(str(size).encode())
            step = max(1, (size - _FINGERPRINT_BYTES) // (_FINGERPRINT_SAMPLES - 1))
            last = max(0, size - _FINGERPRINT_BYTES)
            for offset in (*range(0, size, max(step, _FINGERPRINT_BYTES)), last):
                stream.seek(offset)
                digest.update(stream.read(min(_FINGERPRINT_BYTES, size - offset)))
        return digest.hexdigest()[:16]

    @property
    def extent(self) -> Extent:
        """All of its rows, as far as the file went when it was opened."""
        return Extent(self.layout.data_start, None if self.compression else self.size)

    def count_rows(self, extent: Extent | None = None) -> int:
        """The number of rows, read one after the other: slow, and independent of any cuts."""
        return sum(1 for _ in self.records(extent or self.extent))

    def records(self, extent: Extent) -> Iterator[Record]:
        """The rows as they stand in a part of the file, read one after the other."""
        with reading(self.path), self.open() as stream:
            skip(stream, extent.start)
            left = -1 if extent.end is None else extent.end - extent.start
            lines = split_lines(blocks_of(stream, left))
            yield from records(lines, self.layout.dialect, extent.start)

    def growth(self, start: int, end: int) -> Growth | None:
        """What is behind the bytes up to `end`, where the file once ended; a row begins at `start`.

        None if no row begins there. Raises DaskingestError if the file cannot be read.
        """
        before = start
        for record in self.records(Extent(start, end + MAX_RECORD)):
            if record.offset >= end:
                with reading(self.path), self.open() as stream:
                    skip(stream, end)
                    between = read_fully(stream, record.offset - end)
                broken = (before, record.offset) if between.strip(b"\r\n") else None
                return Growth(record.offset, broken)
            before = record.offset
        return None


@dataclass(frozen=True, slots=True)
class CsvRange:
    """A range of whole rows: what a task is given of a file, instead of text.

    `first_row` is the number of rows before it, `row_count` its own. `checksum` is that of its
    bytes when the file was cut. `data` holds the bytes where a worker could not read the range by
    itself, as in a compressed file.
    """

    path: str
    layout: Layout
    start: int
    end: int
    first_row: int
    row_count: int
    checksum: str = ""
    data: bytes | None = None

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.end - self.start

    def read(self) -> bytes:
        """The bytes. Raises DaskingestError if they are not those that the file was cut with."""
        if self.data is not None:
            return self.data
        with reading(self.path), open_stream(self.path, None) as stream:
            stream.seek(self.start)
            data = read_fully(stream, self.size)
        if len(data) != self.size:
            raise DaskingestError(
                f"{self.path} was changed while it was being read: expected {self.size:,} bytes at "
                f"{self.start:,}, found {len(data):,}; run it again with the complete file"
            )
        if self.checksum and not matches(data, self.checksum):
            raise DaskingestError(
                f"bytes {self.start:,} to {self.end:,} of {self.path} are not what they were when "
                "the run began: they were changed since, or this machine has another file there; "
                "these rows were not counted; restore the file, and run it again"
            )
        return data

    def records(self) -> Iterator[Record]:
        """The rows as they are in the file."""
        return records(split_lines([self.read()]), self.layout.dialect, self.start)

    def rows(self) -> Iterator[Article | Reject]:
        """The rows in order, each an article or a reject."""
        return (row for _, row in self.placed_rows())

    def placed_rows(self) -> Iterator[tuple[int, Article | Reject]]:
        """The rows as from `rows`, each with its byte offset in the file."""
        names, columns = self.layout.names, self.layout.columns
        at = {name: names.index(name) for name in (columns.content, columns.publication)}
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


def open_csv(path: str, content: str | None = None, publication: str | None = None) -> CsvFile:
    """Probe a file and find its columns.

    Raises UsageError if there is no such file, if it is a directory, empty or UTF-16, or if it has
    no column for the content or the publication.
    """
    try:
        fs, inner = url_to_fs(path)
        info = cast(dict[str, Any], fs.info(inner))
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except (ValueError, ImportError, OSError) as error:
        raise UsageError(f"cannot open {path}: {error}") from None
    if info["type"] == "directory":
        raise UsageError(f"{path} is a directory: expected a CSV file")
    local = "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
    full = inner if local else path
    compression = infer_compression(path)
    with reading(path), open_stream(full, compression) as stream:
        head = read_fully(stream, PROBE_BYTES)
        layout = _probe(path, head, content, publication)
    return CsvFile(full, info["size"], compression, layout)


def _probe(path: str, head: bytes, content: str | None, publication: str | None) -> Layout:
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
        columns = Columns.find(names, content, publication)
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
    feed = _Lines(lines, begin)
    next(csv.reader(feed, delimiter=delimiter))
    while not head[begin : feed.offset].strip():
        next(csv.reader(feed, delimiter=delimiter))
    return Layout(dialect, tuple(names), columns, feed.offset, regular)


def _misfits(sample: bytes, dialect: Dialect, width: int) -> int:
    rows = list(records(io.BytesIO(sample), dialect))[:-1]  # the last may be cut off
    return sum(len(row.fields) != width for row in rows)


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
