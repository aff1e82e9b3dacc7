"""What the formats have in common in which rows are text: extents are bytes, and files may grow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Generic, TypeVar

from daskingest.settings import BATCH_BYTES
from daskingest.sources.checksum import FASTEST, Kind
from daskingest.sources.datafile import PROBE_BYTES, Extent, Growth, TextRange
from daskingest.sources.encodings import (
    EncodedOrigin,
    decoded,
    encoding_named,
    looks_like,
    require_mark_of,
    require_utf8,
)
from daskingest.sources.origin import Origin
from daskingest.sources.streams import blocks_of, read_fully, reading, skip

MAX_RECORD = 128 << 20
"""Longest row, in bytes."""

R = TypeVar("R", bound=TextRange)


@dataclass(frozen=True, slots=True)
class Text:
    """A file of text: where it comes from, in UTF-8, how it begins, and what is unusual of it."""

    origin: Origin
    head: bytes
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the head is all of it."""
        return len(self.head) < PROBE_BYTES


def open_text(origin: Origin, encoding: str | None = None, head: bytes | None = None) -> Text:
    """Look at the beginning of a file, which `head` is if it was read, in an encoding or UTF-8.

    Raises UsageError if it is in another encoding, or if there is none of that name.
    """
    if head is None:
        head = read_head(origin)
    name, its_encoding = origin.called, encoding_named(encoding)
    if its_encoding:
        require_mark_of(name, head, its_encoding)
        origin = decoded(origin, its_encoding)
        return Text(origin, read_head(origin))
    require_utf8(name, head)
    return Text(origin, head, tuple(looks_like(name, head)))


def read_head(origin: Origin) -> bytes:
    """What a file begins with, unpacked."""
    with reading(origin.called), origin.open() as stream:
        return read_fully(stream, PROBE_BYTES)


class TextFile(ABC, Generic[R]):
    """A file whose rows are text; see `DataFile`."""

    origin: Origin
    unit = "bytes"

    @property
    def encoding(self) -> str:
        """See `DataFile.encoding`."""
        return self.origin.encoding if isinstance(self.origin, EncodedOrigin) else ""

    @property
    def slow(self) -> str:
        """See `DataFile.slow`."""
        return ""

    @property
    @abstractmethod
    def data_start(self) -> int:
        """Where the first row begins, in bytes."""

    @abstractmethod
    def _cut(self, stream: BinaryIO, batch_bytes: int, extent: Extent, kind: Kind) -> Iterator[R]:
        """The ranges of an extent; the stream is at its start."""

    @abstractmethod
    def _offsets(self, blocks: Iterable[bytes], offset: int) -> Iterator[int]:
        """Where the rows begin in what a part of the file holds, which begins at `offset`."""

    @property
    def extent(self) -> Extent:
        """See `DataFile.extent`."""
        return Extent(self.data_start, None if self.origin.packed else self.origin.size)

    def size_of(self, extent: Extent) -> int | None:
        """See `DataFile.size_of`."""
        return None if extent.end is None else extent.end - extent.start

    def ranges(
        self,
        batch_bytes: int = BATCH_BYTES,
        extent: Extent | None = None,
        kind: Kind = FASTEST,
    ) -> Iterator[R]:
        """See `DataFile.ranges`."""
        # What is appended meanwhile is left alone: it is counted when the file is opened again.
        extent = extent or self.extent
        with reading(self.origin.path), self.origin.open() as stream:
            skip(stream, extent.start)
            yield from self._cut(stream, max(1, batch_bytes), extent, kind)

    def count_rows(self, extent: Extent | None = None) -> int:
        """See `DataFile.count_rows`."""
        return sum(1 for _ in self._rows(extent or self.extent))

    def growth(self, start: int, end: int) -> Growth | None:
        """See `DataFile.growth`."""
        size = None if self.origin.packed else self.origin.size - end
        if size is not None and size <= 0:
            return None
        before = start
        for offset in self._rows(Extent(start, end + MAX_RECORD)):
            if offset >= end:
                with reading(self.origin.path), self.origin.open() as stream:
                    skip(stream, end)
                    between = read_fully(stream, offset - end)
                broken = (before, offset) if between.strip(b"\r\n") else None
                return Growth(offset, size, broken)
            before = offset
        return None if size is None else Growth(None, size)

    def _rows(self, extent: Extent) -> Iterator[int]:
        """Where rows begin in a part of the file, which is read from its start to its end."""
        with reading(self.origin.path), self.origin.open() as stream:
            skip(stream, extent.start)
            left = -1 if extent.end is None else extent.end - extent.start
            yield from self._offsets(blocks_of(stream, left), extent.start)


def split_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream, ends kept; they end at \\n, \\r\\n or \\r, as they do for csv."""
    tail = b""
    for block in blocks:
        lines = (tail + block).splitlines(keepends=True)
        tail = lines.pop()  # may continue in the next block, if only with the \n of a \r\n
        yield from lines
    if tail:
        yield tail
