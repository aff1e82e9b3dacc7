"""Where a CSV file may be cut: record-aligned byte ranges, found by counting quotes.

A newline ends a row if the number of quotes before it is even. That holds for files that follow
RFC 4180 but fails after a stray quote, so each cut is checked: the rows after it must be
well-formed, with the right number of fields, up to the second row that has a quote. (After a stray
quote, inside and outside are swapped. Text may then look like rows, but not where one quoted field
ends and the next begins.) If no such cut is found, the rows of one range are read with the csv
module, which is slow but always right, and counting continues after them. The cuts depend only on
the file and on `batch_bytes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from daskingest.sources.csvrows import NEVER_CLOSED, Layout, records, well_formed
from daskingest.sources.datafile import Extent
from daskingest.sources.marks import RecordStarts
from daskingest.sources.textfile import MAX_RECORD, split_lines

_WINDOW = 4 << 20  # kept of the file, at least
_BLOCK = 1 << 18  # read and marked at once, while it is in the processor's cache
_LOOKAHEAD = 128 << 10  # what is checked of the rows behind a cut
_QUOTED_ROWS = 2  # and of these, how many that have a quote
_TRIES = 32  # possible cuts that are looked at before the quotes are doubted


class Cut(NamedTuple):
    """Bytes [start, end) of a file, with so many whole rows.

    `content` is to be released before the next cut is asked for.
    """

    start: int
    end: int
    rows: int
    content: memoryview


def cuts(stream: BinaryIO, layout: Layout, batch_bytes: int, extent: Extent) -> Iterator[Cut]:
    """Cut what is in a stream, which is at the start of the extent, see `DataFile.ranges`."""
    splitter = _Splitter(stream, layout, batch_bytes, extent)
    for start, end, rows in splitter.spans():
        yield Cut(start, end, rows, splitter.bytes_of(start, end))


class _Splitter:
    """Reads a stream once, keeping only what comes after the last cut."""

    def __init__(self, stream: BinaryIO, layout: Layout, batch_bytes: int, extent: Extent) -> None:
        self._stream = stream
        self._layout = layout
        self._batch_bytes = max(1, batch_bytes)
        self._well_formed = well_formed(layout)
        # All of these are multiples of 64, the number of bytes that share a word of marks.
        self._window = -(-(max(_WINDOW, 2 * self._batch_bytes) + _LOOKAHEAD) // 64) * 64
        self._buffer = bytearray(self._window)
        self._marks = RecordStarts()
        self._base = extent.start  # the file's offset of the buffer's first byte
        self._cut = 0  # where the last cut is in the buffer
        self._filled = 0
        # Bytes that are still to be read; None: all there are.
        self._left = None if extent.end is None else extent.end - extent.start
        self._eof = False

    def bytes_of(self, start: int, end: int) -> memoryview:
        """The bytes of the span yielded last; to be released before the next."""
        return memoryview(self._buffer)[start - self._base : end - self._base]

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """Where each range begins and ends, and its number of rows."""
        self._fill()
        while self._cut < self._filled:
            before = self._cut
            for end, count in self._cuts():
                yield self._base + self._cut, self._base + end, count
                self._cut = end
            self._drop()
            self._fill(grow=self._cut == before)

    def _fill(self, grow: bool = False) -> None:
        if grow:
            self._buffer.extend(bytes(len(self._buffer)))
        elif len(self._buffer) > self._window >= 2 * self._filled:
            del self._buffer[self._window :]
        with memoryview(self._buffer) as view:
            while not self._eof and self._filled < len(view):
                start, end = self._filled, min(self._filled + _BLOCK, len(view))
                while not self._eof and self._filled < end:
                    most = end if self._left is None else min(end, self._filled + self._left)
                    read = self._stream.readinto(view[self._filled : most])  # type: ignore[attr-defined]
                    self._eof = not read
                    self._filled += read
                    if self._left is not None:
                        self._left -= read
                self._mark(start, self._filled)

    def _mark(self, start: int, end: int) -> None:
        """Mark the starts of rows in the bytes after those already marked."""
        if self._layout.regular:
            self._marks.add(np.frombuffer(self._buffer, np.uint8, end - start, start))

    def _mark_again(self, cut: int) -> None:
        """Mark all bytes after a cut that was found by reading: the old marks may be wrong."""
        word = cut // 64 * 64
        self._buffer[word:cut] = b"\n" * (cut - word)  # done with; the row follows a line end
        self._marks.restart(word)
        for start in range(word, self._filled, _BLOCK):
            self._mark(start, min(start + _BLOCK, self._filled))

    def _drop(self) -> None:
        """Drop what comes before the last cut, in whole words of marks."""
        done = self._cut // 64 * 64
        if not done:
            return
        rest = self._filled - done
        with memoryview(self._buffer) as view:
            view[:rest] = view[done : self._filled]
        if self._layout.regular:
            self._marks.drop(done)
        self._base += done
        self._cut -= done
        self._filled = rest

    def _cuts(self) -> Iterator[tuple[int, int]]:
        """(end, number of rows) of each range that the buffer holds, from the last cut on."""
        if self._layout.regular:
            while (found := self._cut_by_quotes(self._cut)) is not None and found > self._cut:
                yield found, self._marks.count(self._cut, found)
            if found is None or self._cut == self._filled:
                return
        read = self._cut_by_reading(self._cut)
        if read is not None:
            yield read
            if self._layout.regular:
                self._mark_again(self._cut)

    def _cut_by_quotes(self, pos: int) -> int | None:
        """The next cut after `pos`; None: read more first; `pos` itself: in doubt."""
        target = pos + self._batch_bytes
        for tries, start in enumerate(self._marks.starts_from(target), 1):
            if not self._eof and start + _LOOKAHEAD > self._filled:
                return None
            if self._looks_right(start):
                return start
            if tries == _TRIES:
                return pos
        if not self._eof:
            return pos if self._filled - pos > MAX_RECORD else None
        return pos if self._marks.open_at_end else self._filled

    def _looks_right(self, start: int) -> bool:
        """Whether a row begins at `start`, as far as the rows after it show."""
        at, end, quoted = start, min(start + _LOOKAHEAD, self._filled), 0
        while at < end and quoted < _QUOTED_ROWS:
            row = self._well_formed.match(self._buffer, at, end)
            if row is None:
                return False
            quoted += self._buffer.find(b'"', at, row.end()) >= 0
            at = row.end()
            while at < end and self._buffer[at] in b"\r\n":
                at += 1
        return True

    def _cut_by_reading(self, pos: int) -> tuple[int, int] | None:
        """(end, number of rows) of the range at `pos`, by the csv module; None: read more first."""
        with memoryview(self._buffer) as view:
            data = bytes(view[pos : self._filled])
        count = 0
        for record in records(split_lines(_blocks(data)), self._layout.dialect):
            if record.damage == NEVER_CLOSED and not self._eof:
                if len(data) <= MAX_RECORD:
                    return None
                return (pos + record.offset, count) if count else (self._resync(pos), 1)
            if record.offset >= self._batch_bytes:
                return pos + record.offset, count
            count += 1
        return (self._filled, count) if self._eof else None

    def _resync(self, pos: int) -> int:
        """The end of a row whose quote is never closed: where the next line looks like a row."""
        at = pos
        while at := self._buffer.find(b"\n", at, self._filled) + 1:
            if self._well_formed.match(self._buffer, at, min(at + _LOOKAHEAD, self._filled)):
                return at
        return self._buffer.rfind(b"\n", pos, self._filled) + 1 or self._filled


def _blocks(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), 64 << 10):
        yield data[at : at + (64 << 10)]
