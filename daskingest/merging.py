"""Merges rows of words that are in order, in one compiled pass over two of them at a time.

A row has not its word, but how much of it is as in the row before, and its suffix. Of two rows that
may come next, the one that has more in common with the last one comes first; just where both have
as much, their words are compared, from there on (LCP-merging, see Bingmann, Eberle and Sanders,
"Engineering Parallel String Sorting", 2017). What was compared once is not read again, and most of
a word's bytes are never copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from daskingest.compiling import compiled_over_arrays

_Ints = NDArray[np.int32]
_Longs = NDArray[np.int64]

_MOST = (1 << 31) - 1  # bytes: a place among more is no int32


class Rows(NamedTuple):
    """Rows ordered by publication and word; those of a word have different kinds, in any order."""

    publications: _Ints
    common: _Ints
    """0 for a publication's first row; else one more than the bytes that its word begins with as
    that before it. After the last row's there is a -1."""
    starts: _Ints
    """Where each row's suffix begins, and where the last one ends."""
    suffixes: NDArray[np.uint8]
    kinds: _Ints
    counts: _Longs
    spellings: _Longs


def rows_of(
    publications: _Ints, words: pa.StringArray, kinds: _Ints, counts: _Longs, *spellings: _Longs
) -> Rows:
    """Rows whose columns these are. Kinds are numbers; without spellings, they are 0.

    Raises ValueError if they are not in order.
    """
    _, offsets, data = words.buffers()
    its_data = np.frombuffer(data or b"", np.uint8)
    its_offsets = np.frombuffer(offsets, np.int32)[words.offset :][: len(words) + 1]
    rows = Rows(
        publications,
        common=np.full(len(words) + 1, -1, np.int32),
        starts=np.zeros(len(words) + 1, np.int32),
        suffixes=np.empty(its_offsets[-1] - its_offsets[0], np.uint8),
        # Copies: an array that may not be written to, as Arrow's, is another type for numba, which
        # would compile all of it once more.
        kinds=kinds.copy(),
        counts=counts.copy(),
        spellings=spellings[0].copy() if spellings else np.zeros(len(words), np.int64),
    )
    if not _shorten(its_offsets, its_data, rows):
        raise ValueError("rows that are not in order can't be merged")
    return rows._replace(suffixes=rows.suffixes[: rows.starts[-1]])


def merged(several: Sequence[Rows]) -> Rows:
    """Their sum: one row for each publication, word and kind; a word's as they came first."""
    while len(several) > 1:
        pairs = [several[at : at + 2] for at in range(0, len(several), 2)]
        several = [_sum(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return several[0]


def words_of(rows: Rows) -> pa.StringArray:
    """Their words."""
    lengths = np.maximum(rows.common[:-1], 1) - 1 + np.diff(rows.starts)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    _fits(offsets[-1])
    data = np.empty(offsets[-1], np.uint8)
    _lengthen(rows, offsets, data)
    buffers = pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)
    return pa.StringArray.from_buffers(len(lengths), *buffers)


def _sum(a: Rows, b: Rows) -> Rows:
    n, size = len(a.kinds) + len(b.kinds), len(a.suffixes) + len(b.suffixes)
    _fits(size)
    out = Rows(
        np.empty(n, np.int32),
        np.empty(n + 1, np.int32),
        np.empty(n + 1, np.int32),
        np.empty(size, np.uint8),
        np.empty(n, np.int32),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
    )
    n = _merge(a, b, out)
    return Rows(
        out.publications[:n],
        out.common[: n + 1],
        out.starts[: n + 1],
        out.suffixes[: out.starts[n]],
        out.kinds[:n],
        out.counts[:n],
        out.spellings[:n],
    )


def _fits(size: int) -> None:
    if size > _MOST:
        raise OverflowError(f"{size} bytes of words, expected up to {_MOST}")


@compiled_over_arrays
def _shorten(offsets: _Ints, data: NDArray[np.uint8], rows: Rows) -> bool:
    """Fill in `common`, `starts` and `suffixes`. Returns whether the rows are in order."""
    end = 0
    in_order = True
    for row in range(len(rows.kinds)):
        here, after = offsets[row], offsets[row + 1]
        same = rows.common[row] = 0
        if row and rows.publications[row] == rows.publications[row - 1]:
            before = offsets[row - 1]
            most = min(after - here, here - before)
            while same < most and data[here + same] == data[before + same]:
                same += 1
            rows.common[row] = same + 1
            if same < most:
                in_order &= data[here + same] > data[before + same]
            else:
                in_order &= after - here >= here - before
        elif row:
            in_order &= rows.publications[row] > rows.publications[row - 1]
        for place in range(here + same, after):
            rows.suffixes[end] = data[place]
            end += 1
        rows.starts[row + 1] = end
    return in_order


@compiled_over_arrays
def _lengthen(rows: Rows, offsets: _Longs, data: NDArray[np.uint8]) -> None:
    """Fill in the words."""
    for row in range(len(rows.kinds)):
        end, same = offsets[row], max(rows.common[row], 1) - 1
        if same:
            before = offsets[row - 1]
            for place in range(before, before + same):
                data[end] = data[place]
                end += 1
        for place in range(rows.starts[row], rows.starts[row + 1]):
            data[end] = rows.suffixes[place]
            end += 1


@compiled_over_arrays
def _compared(a: Rows, i: int, b: Rows, j: int, same: int) -> tuple[int, int]:
    """Which of two rows comes first, as a number below or above 0, and what they have in common,
    which is `same` at least, as with the last row."""
    order = a.publications[i] - b.publications[j] if same == 0 else 0
    if order == 0:
        same = max(same, 1)
        x, y = a.starts[i] + same - max(a.common[i], 1), b.starts[j] + same - max(b.common[j], 1)
        more, others = a.starts[i + 1] - x, b.starts[j + 1] - y
        at, most = 0, min(more, others)
        while at < most and a.suffixes[x + at] == b.suffixes[y + at]:
            at += 1
        same += at
        order = more - others
        if at < most:
            order = -1 if a.suffixes[x + at] < b.suffixes[y + at] else 1
    return order, same


@compiled_over_arrays
def _place(out: Rows, row: int, same: int, rows: Rows, place: int) -> int:
    """Which row of `out`, before this one, has the word and the kind of a row, or this one."""
    found, at = row, row
    start = rows.starts[place] + same - max(rows.common[place], 1)
    if same > 0 and start == rows.starts[place + 1]:
        going = True  # in order, so it has the last one's word, and not just a beginning of it
        while going:
            at -= 1
            if out.kinds[at] == rows.kinds[place]:
                found = at
            going = found == row and out.common[at] > 0 and out.starts[at] == out.starts[at + 1]
    return found


@compiled_over_arrays
def _put(out: Rows, row: int, same: int, rows: Rows, place: int) -> None:
    """Put a row that has so much in common with the last one, which is at least what it has with
    the one before it among its own. All rows of a word have the spelling that came first.
    """
    start = rows.starts[place] + max(same, 1) - max(rows.common[place], 1)
    is_new = same == 0 or start < rows.starts[place + 1]
    out.publications[row] = rows.publications[place]
    out.common[row] = same
    out.kinds[row] = rows.kinds[place]
    out.counts[row] = rows.counts[place]
    out.spellings[row] = rows.spellings[place] if is_new else out.spellings[row - 1]
    end = out.starts[row]
    for at in range(start, rows.starts[place + 1]):
        out.suffixes[end] = rows.suffixes[at]
        end += 1
    out.starts[row + 1] = end


@compiled_over_arrays
def _merge(a: Rows, b: Rows, out: Rows) -> int:
    """Returns the number of rows of their sum, for which `out` has room."""
    i = j = row = 0
    of_a, of_b = a.common[0], b.common[0]  # what their next rows have in common with out's last
    out.starts[0] = 0
    while of_a >= 0 or of_b >= 0:
        order, same = of_b - of_a, min(of_a, of_b)
        if order == 0:
            order, same = _compared(a, i, b, j, same)
        if order <= 0:
            _put(out, row, of_a, a, i)
            row += 1
            i += 1
            of_a, of_b = a.common[i], same
        else:
            at = _place(out, row, of_b, b, j)
            if at < row:
                out.counts[at] += b.counts[j]
            else:
                _put(out, row, of_b, b, j)
                row += 1
            j += 1
            of_a, of_b = same, b.common[j]
    out.common[row] = -1
    return row
