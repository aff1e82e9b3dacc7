"""A file of JSON Lines: an object on each line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from daskingest.articles import Article, Columns, FindColumns, Reject, Unusable, article_from
from daskingest.errors import UsageError
from daskingest.jsontext import json_value
from daskingest.sources.checksum import Kind, checksum
from daskingest.sources.datafile import INVALID_UTF8, Extent, TextRange
from daskingest.sources.encodings import UTF8_MARK
from daskingest.sources.formats import Format
from daskingest.sources.origin import Origin
from daskingest.sources.streams import blocks_of, read_fully, reading
from daskingest.sources.textfile import MAX_RECORD, Text, TextFile
from daskingest.text import size_text

ROW_TOO_LONG = "row too long"

_SPACE = b" \t\r\n"
_DEPTH = 20  # of objects in objects, whose names are looked at
_SEPARATOR = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRange(TextRange):
    """A range of whole lines."""

    columns: Columns

    def placed_rows(self) -> Iterator[tuple[int, Article | Reject]]:
        """See `DataRange.placed_rows`; places are byte offsets."""
        row, place = 0, self.start
        for line in self.read().split(b"\n"):
            if line.strip(_SPACE):
                try:
                    yield place, _article(line, self.columns)
                except Unusable as problem:
                    yield place, Reject(problem.reason, problem.detail, row, place)
                row += 1
            place += len(line) + 1


@dataclass(frozen=True, slots=True)
class JsonLinesFile(TextFile[JsonRange]):
    """A file of JSON Lines, see `DataFile`. Open it with `json_lines_file`."""

    origin: Origin
    columns: Columns
    names: tuple[str, ...]
    data_start: int
    notes: tuple[str, ...] = ()
    kind = Format.JSON_LINES
    traits = "an object on each line"

    def _cut(
        self, stream: BinaryIO, batch_bytes: int, extent: Extent, kind: Kind
    ) -> Iterator[JsonRange]:
        row = extent.first_row
        left = -1 if extent.end is None else extent.end - extent.start
        for start, data in _cuts(blocks_of(stream, left), batch_bytes, extent.start):
            rows = _count_rows(data)
            yield JsonRange(
                path=self.origin.path,
                columns=self.columns,
                start=start,
                end=start + len(data),
                first_row=row,
                row_count=rows,
                checksum=checksum(data, kind),
                data=data if self.origin.packed else None,
            )
            row += rows

    def _offsets(self, blocks: Iterable[bytes], offset: int) -> Iterator[int]:
        for start, line in _cuts(blocks, 1, offset):
            if line.strip(_SPACE):
                yield start


def _cuts(blocks: Iterable[bytes], least: int, offset: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines of at least so many bytes together, with the place of the first.

    A line is cut where it has MAX_RECORD bytes.
    """
    buffer, at, searched = bytearray(), 0, 0
    for block in blocks:
        del buffer[:at]  # Python moves nothing for that
        offset, searched, at = offset + at, searched - at, 0
        buffer += block
        while (end := _end_of_lines(buffer, at, max(at + least - 1, searched))) is not None:
            with memoryview(buffer) as view:
                lines = bytes(view[at:end])
            yield offset + at, lines
            at = searched = end
        searched = len(buffer)
    if at < len(buffer):
        yield offset + at, bytes(buffer[at:])


def _end_of_lines(buffer: bytearray, start: int, earliest: int) -> int | None:
    """Where the line ends that has the byte `earliest`; None if more must be read to know."""
    end = buffer.find(b"\n", earliest)
    last = buffer.rfind(b"\n", start, min(earliest, len(buffer))) + 1 or start
    longest = last + MAX_RECORD
    if end >= 0:
        return min(end + 1, longest)
    return longest if len(buffer) > longest else None


def _count_rows(data: bytes) -> int:
    """The number of lines that are not blank."""
    found = np.frombuffer(data, np.uint8)
    starts = np.concatenate(([0], np.flatnonzero(found == ord("\n")) + 1))
    starts = starts[: np.searchsorted(starts, len(data))]
    doubtful = starts[found[starts] <= ord(" ")]
    return len(starts) - sum(_is_blank(data, start) for start in doubtful.tolist())


def _is_blank(data: bytes, start: int) -> bool:
    end = data.find(b"\n", start)
    return not data[start : end if end >= 0 else len(data)].strip(_SPACE)


def _article(line: bytes, columns: Columns) -> Article:
    value = _value(line)
    if not isinstance(value, dict):
        raise Unusable("not an object", f"found {type(value).__name__}")
    wanted = (columns.content, columns.publication, *columns.dates)
    return article_from({name: _field(value, name) for name in wanted}, columns)


def _value(line: bytes) -> object:
    if len(line) >= MAX_RECORD:
        raise Unusable(ROW_TOO_LONG, f"{MAX_RECORD >> 20} MiB or more")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise Unusable(INVALID_UTF8) from None
    return json_value(text)


def _field(value: dict[str, object], name: str) -> object:
    """The field of a name, or of objects in objects if it has dots; None if there is none."""
    if name in value:
        return value[name]
    for i, character in enumerate(name):
        if character == _SEPARATOR and isinstance(inner := value.get(name[:i]), dict):
            found = _field(inner, name[i + 1 :])
            if found is not None:
                return found
    return None


def json_lines_file(text: Text, find: FindColumns) -> JsonLinesFile:
    """A text as JSON Lines.

    Raises UsageError if no line of its beginning is an object, or if it has no column for the
    content or the publication.
    """
    name, begin = text.origin.called, len(UTF8_MARK) * text.head.startswith(UTF8_MARK)
    head, whole = _whole_lines(text)
    values = [each for line in head[begin:].split(b"\n") if (each := _object(line)) is not None]
    if not values:
        raise _no_lines(name, head[begin:], whole)
    names = tuple(dict.fromkeys(each for value in values for each in _names(value)))
    try:
        columns = find(names)
    except UsageError as error:
        looked = "" if whole else f"; only its first {size_text(len(head))} were looked at"
        raise UsageError(f"{name}: {error}{looked}") from None
    return JsonLinesFile(text.origin, columns, names, begin, text.notes)


def _whole_lines(text: Text) -> tuple[bytes, bool]:
    """How the file begins, at least its first line; and whether that is all of it."""
    head = text.head
    if text.whole:
        return head, True
    if b"\n" in head.lstrip(UTF8_MARK + _SPACE):
        return head[: head.rfind(b"\n") + 1], False
    with reading(text.origin.path), text.origin.open() as stream:
        head = read_fully(stream, MAX_RECORD)
    return head, len(head) < MAX_RECORD


def _object(line: bytes) -> dict[str, object] | None:
    try:
        value = _value(line)
    except Unusable:
        return None
    return value if isinstance(value, dict) else None


def _names(value: dict[str, object], depth: int = 0) -> Iterator[str]:
    """The names of its fields; with dots those of objects in it."""
    for name, each in value.items():
        if isinstance(each, dict) and each and depth < _DEPTH:
            yield from (f"{name}{_SEPARATOR}{inner}" for inner in _names(each, depth + 1))
        else:
            yield name


def _no_lines(name: str, head: bytes, whole: bool) -> UsageError:
    """What is to be told of a file that begins like JSON and has no line that is an object."""
    text = head.decode(errors="replace").lstrip()
    try:
        json.JSONDecoder().raw_decode(text)
        several = True
    except RecursionError:
        several = False
    except json.JSONDecodeError as error:
        several = not whole and error.pos >= len(text) - 1
    if several:
        return UsageError(
            f"{name} has JSON objects over several lines: expected JSON Lines, an object on each "
            "line; write it so with `jq -c .`"
        )
    return UsageError(
        f"{name} begins like JSON, but no line of its beginning is a JSON object: expected JSON "
        "Lines, an object on each line"
    )
