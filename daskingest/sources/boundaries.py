"""Where a CSV file may be cut: record-aligned byte ranges, found by counting quotes.

A newline ends a row if the number of quotes before it is even. That holds for files that follow
RFC 4180 but fails after a stray quote, so each cut is checked: the rows after it must be
well-formed, with the right number of fields, up to the second row that has a quote. (After a stray
quote, inside and outside are swapped. Text may then look like rows, but not where one quoted field
ends and the next begins.) If no such cut is found, the rows of one range are read with the csv
module, which is slow but always right, and counting continues after them. The cuts depend only on
the file and on `batch_bytes`.

The counting follows simdjson (Langdale and Lemire, "Parsing Gigabytes of JSON per Second", 2019):
one bit per byte, and a prefix XOR over the quotes' bits tells which bytes are inside quotes.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from daskingest.settings import BATCH_BYTES
from daskingest.sources.checksum import checksum
from daskingest.sources.csvfile import (
    MAX_RECORD,
    NEVER_CLOSED,
    CsvFile,
    CsvRange,
    Extent,
    Layout,
    records,
    split_lines,
)
from daskingest.sources.streams import reading, skip

_WINDOW = 4 << 20  # kept of the file, at least
_BLOCK = 1 << 20  # read and marked at once, while it is in the processor's cache
_LOOKAHEAD = 128 << 10  # what is checked of the rows behind a cut
_QUOTED_ROWS = 2  # and of these, how many that have a quote
_HASHERS = 2  # threads that make checksums, each as fast as the cuts are found
_TRIES = 32  # possible cuts that are looked at before the quotes are doubted

Bits = npt.NDArray[np.uint64]
_ONE, _TOP = np.uint64(1), np.uint64(63)
_SHIFTS = [np.uint64(1 << i) for i in range(6)]


def ranges(
    file: CsvFile, batch_bytes: int = BATCH_BYTES, extent: Extent | None = None
) -> Iterator[CsvRange]:
    """The file's rows, in ranges of at least `batch_bytes` (the last may be smaller).

    Every byte behind the header, or of `extent`, is in exactly one range, with its checksum. Where
    the file is compressed the ranges carry their bytes. Raises DaskingestError if the file cannot
    be read to its end.
    """
    # What is appended meanwhile is left alone: it is counted when the file is opened again.
    extent = extent or file.extent
    with reading(file.path), file.open() as stream, ThreadPoolExecutor(_HASHERS) as hashers:
        skip(stream, extent.start)
        splitter = _Splitter(stream, file.layout, batch_bytes, extent)
        # A processor that is idle makes the checksums while the next cuts are found.
        waiting: deque[tuple[_Span, bytes, Future[str]]] = deque()
        for span in splitter.spans(extent.first_row):
            data = splitter.bytes_of(span.start, span.end)
            waiting.append((span, data, hashers.submit(checksum, data)))
            if len(waiting) > _HASHERS:
                yield _range(file, *waiting.popleft())
        while waiting:
            yield _range(file, *waiting.popleft())


class _Span(NamedTuple):
    """A range's bytes, the number of rows before it, and in it."""

    start: int
    end: int
    first_row: int
    row_count: int


def _range(file: CsvFile, span: _Span, data: bytes, digest: Future[str]) -> CsvRange:
    kept = data if file.compression else None
    return CsvRange(file.path, file.layout, *span, checksum=digest.result(), data=kept)


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

    def bytes_of(self, start: int, end: int) -> bytes:
        """The bytes of the span yielded last."""
        return bytes(memoryview(self._buffer)[start - self._base : end - self._base])

    def spans(self, row: int) -> Iterator[_Span]:
        """Each range; `row` is the number of rows before the first."""
        self._fill()
        while self._cut < self._filled:
            before = self._cut
            for end, count in self._cuts():
                yield _Span(self._base + self._cut, self._base + end, row, count)
                row += count
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
            carriage_returns = self._buffer.find(b"\r", start, end) >= 0
            block = np.frombuffer(self._buffer, np.uint8, end - start, start)
            self._marks.add(block, carriage_returns)

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


def well_formed(layout: Layout) -> re.Pattern[bytes]:
    """Matches one whole row of RFC 4180 with the layout's number of fields."""
    delimiter = re.escape(layout.dialect.delimiter.encode())
    field = rb'(?:"(?:[^"]++|"")*+"|[^"\r\n' + delimiter + rb"]*+)"
    rest = rb"(?:" + delimiter + field + rb"){%d}" % (layout.width - 1)
    return re.compile(field + rest + rb"(?=[\r\n]|\Z)")


class RecordStarts:
    """A bit for each byte, set if it begins a row. The bytes are added block by block.

    The first byte begins a row, or ends an empty line. All blocks but the last must be multiples
    of 64 bytes, and so must be the positions given to `restart` and `drop`.
    """

    def __init__(self) -> None:
        self._bits = np.zeros(1 << 17, np.uint64)
        self._words = 0
        self._marker = _Marker()

    @property
    def open_at_end(self) -> bool:
        """Whether a quote is open after the last byte."""
        return bool(self._marker.inside)

    def add(self, block: npt.NDArray[np.uint8], has_carriage_returns: bool = True) -> None:
        """Mark more bytes, at most `_BLOCK` of them."""
        if not len(block):
            return
        words = -(-len(block) // 64)
        while self._words + words > len(self._bits):
            self._bits = np.concatenate([self._bits, np.zeros_like(self._bits)])
        marks = self._bits[self._words : self._words + words]
        self._marker.mark(block, marks, has_carriage_returns)
        if len(block) % 64:
            marks[-1] &= _below(len(block) % 64)
        self._words += words

    def restart(self, position: int) -> None:
        """Drop what was added from `position` on; the next byte to be added begins a row."""
        self._words = position // 64
        self._marker = _Marker()

    def drop(self, position: int) -> None:
        """Drop what was added before `position`, which becomes 0."""
        self._words -= position // 64
        self._bits[: self._words] = self._bits[position // 64 : position // 64 + self._words]

    def count(self, start: int, end: int) -> int:
        """The number of rows that begin in [start, end)."""
        first, last = start // 64, end // 64
        count = int(np.bitwise_count(self._bits[first:last]).sum(dtype=np.int64))
        return count - self._within(first, start % 64) + self._within(last, end % 64)

    def starts_from(self, position: int) -> Iterator[int]:
        """The positions where rows begin, from `position` on, in order."""
        word, keep = position // 64, ~_below(position % 64)
        while word < self._words:
            bits = int(self._bits[word] & keep)
            while bits:
                yield word * 64 + (bits & -bits).bit_length() - 1
                bits &= bits - 1
            word, keep = word + 1, ~np.uint64(0)
            # Few words have a start of a row: skip those that don't, many at a time.
            ahead = np.flatnonzero(self._bits[word : min(word + 1024, self._words)])
            word += int(ahead[0]) if len(ahead) else 1024

    def _within(self, word: int, bit: int) -> int:
        return int(self._bits[word] & _below(bit)).bit_count() if bit else 0


def _below(bit: int) -> np.uint64:
    """A word with the bits below `bit` set."""
    return np.uint64((1 << bit) - 1)


class _Marker:
    """Marks the starts of rows block by block, in memory that is reused.

    `inside` is 1 if the last block ended inside quotes, `ended` is 1 if its last byte ended a row.
    """

    def __init__(self) -> None:
        self.inside = np.uint64(0)
        self.ended = _ONE
        self._equal = np.empty(_BLOCK, np.bool_)
        self._shifted = np.empty(_BLOCK // 64, np.uint64)

    def mark(self, block: npt.NDArray[np.uint8], out: Bits, has_carriage_returns: bool) -> None:
        """Set in `out` the bit of each byte that begins a row; bits past the block may be set."""
        last = len(block) - 1
        if len(block) % 64:
            block = np.concatenate([block, np.zeros(-len(block) % 64, np.uint8)])
        equal = self._equal[: len(block)]
        shifted = self._shifted[: len(out)]
        np.equal(block, 34, out=equal)  # the quote
        inside = _packed(equal)
        np.equal(block, 10, out=equal)  # \n
        if has_carriage_returns:
            equal |= block == 13
        ends = _packed(equal)
        for by in _SHIFTS:
            np.left_shift(inside, by, out=shifted)
            inside ^= shifted
        # Each word's top bit tells whether it has an odd number of quotes; accumulated, whether a
        # quote is open at its end.
        np.right_shift(inside, _TOP, out=shifted)
        shifted[0] ^= self.inside
        np.bitwise_xor.accumulate(shifted, out=shifted)
        opened, self.inside = self.inside, shifted[-1]
        np.negative(shifted, out=shifted)  # 1 becomes all ones, which inverts a word
        inside[1:] ^= shifted[:-1]
        if opened:
            inside[0] = ~inside[0]
        np.invert(inside, out=inside)
        ends &= inside
        # A row begins after a line end, unless another one follows: an empty line, or a \r\n.
        np.left_shift(ends, _ONE, out=out)
        np.right_shift(ends, _TOP, out=shifted)
        out[0] |= self.ended
        out[1:] |= shifted[:-1]
        self.ended = (ends[last // 64] >> np.uint64(last % 64)) & _ONE
        np.invert(ends, out=ends)
        out &= ends


def _packed(flags: npt.NDArray[np.bool_]) -> Bits:
    packed: Bits = np.packbits(flags, bitorder="little").view(np.uint64)
    return packed
