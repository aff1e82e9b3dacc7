"""The rows of a Parquet file: the few columns of it that an article comes from.

Parquet has no bytes that could be compared: the same rows can be compressed, split and encoded in
many ways. So rows have a form of their own here, `Rows.packed`, which only depends on their values.
Checksums are of it, and ranges of what only one process can read carry it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from daskingest.articles import Article, Columns, Reject, Unusable, article_from
from daskingest.errors import DaskingestError
from daskingest.sources.checksum import matches
from daskingest.sources.datafile import INVALID_UTF8, DataRange
from daskingest.sources.streams import open_stream, reading

Lengths = np.ndarray[Any, np.dtype[np.int64]]

_NONE, _NO_TEXT = -1, -2
_PIECE = 256  # rows that are decoded at once
_BUFFER = 1 << 20  # of a column's pages, read at once
_READERS = 6  # kept open by a process: one where each of its recent ranges ended


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column: its name, that of the field in which it is if it is in one, and so on.

    `rank` is how many columns before it have the same name. `is_date` says that dates and numbers
    are read as texts.
    """

    names: tuple[str, ...]
    rank: int = 0
    is_date: bool = False

    @property
    def path(self) -> str:
        """Its name, with dots."""
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows: of each column the lengths of its values in bytes, and the values, joined.

    A length is _NONE where there is no value, and _NO_TEXT where it is no text.
    """

    lengths: list[Lengths]
    values: list[memoryview]

    def __len__(self) -> int:
        return len(self.lengths[0])

    @property
    def sizes(self) -> Lengths:
        """The bytes that each row takes when it is packed."""
        rows = np.full(len(self), 8 * len(self.lengths))
        for each in self.lengths:
            rows += np.maximum(each, 0)
        return rows

    def slice(self, start: int, end: int) -> Rows:
        """Rows [start, end) of them."""
        values = []
        for lengths, its in zip(self.lengths, self.values, strict=True):
            known = np.maximum(lengths, 0)
            first = int(known[:start].sum())
            values.append(its[first : first + int(known[start:end].sum())])
        return Rows([each[start:end] for each in self.lengths], values)

    @staticmethod
    def packed(pieces: Sequence[Rows]) -> bytes:
        """Several, one after the other, as bytes that only depend on what is in them."""
        columns = range(len(pieces[0].lengths)) if pieces else range(0)
        lengths = (piece.lengths[i].astype("<i8").tobytes() for i in columns for piece in pieces)
        return b"".join((*lengths, *(piece.values[i] for i in columns for piece in pieces)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetRange(DataRange):
    """Rows [start, end) of a Parquet file.

    `leaves` are the columns that are read, as `names` calls them; `types` are those of them that
    are no text, by name.
    """

    columns: Columns
    names: tuple[str, ...]
    leaves: tuple[Leaf, ...]
    types: tuple[tuple[str, str], ...]
    length: int

    @property
    def size(self) -> int:
        """See `DataRange.size`."""
        return self.length

    def placed_rows(self) -> Iterator[tuple[int, Article | Reject]]:
        """See `DataRange.placed_rows`; places are numbers of rows, from 0."""
        types = dict(self.types)
        for row, values in enumerate(_unpacked(self._read(), len(self.names), self.row_count)):
            place = self.start + row
            try:
                yield place, self._article(values, types)
            except Unusable as problem:
                yield place, Reject(problem.reason, problem.detail, row, place)

    def _article(self, values: list[bytes | int], types: dict[str, str]) -> Article:
        raw: dict[str, object] = {}
        for name, value in zip(self.names, values, strict=True):
            if isinstance(value, bytes):
                try:
                    raw[name] = value.decode()
                except UnicodeDecodeError:
                    raise Unusable(INVALID_UTF8) from None
            elif value == _NO_TEXT:
                raw[name] = type(types.get(name, "no text"), (), {})()  # it is named in the reason
        return article_from(raw, self.columns)

    def _read(self) -> bytes:
        if self.data is not None:
            return self.data
        with reading_parquet(self.path):
            data = Rows.packed(_READERS_HERE.take(self.path, self.leaves, self.start, self.end))
        if not matches(data, self.checksum):
            raise self._changed("rows")
        return data


def _unpacked(data: bytes, columns: int, rows: int) -> Iterator[list[bytes | int]]:
    """The values of each row; a length below zero where there is none."""
    lengths = np.frombuffer(data, "<i8", columns * rows).reshape(columns, rows)
    ends = np.cumsum(np.maximum(lengths, 0)) + 8 * columns * rows
    starts = (ends - np.maximum(lengths, 0).ravel()).reshape(columns, rows)
    for its_lengths, its_starts in zip(lengths.T.tolist(), starts.T.tolist(), strict=True):
        yield [
            data[start : start + length] if length >= 0 else length
            for start, length in zip(its_starts, its_lengths, strict=True)
        ]


@contextmanager
def reading_parquet(path: str) -> Iterator[None]:
    """Turns what may happen to a Parquet file while it is read into a DaskingestError."""
    try:
        with reading(path):
            yield
    except (pa.ArrowException, MemoryError, ValueError, NotImplementedError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DaskingestError(
            f"cannot read {path}: {reason[:300]}; the Parquet file is incomplete, damaged or "
            "encrypted: fetch it again, or decrypt it"
        ) from error


def opened(source: str | BinaryIO) -> pq.ParquetFile:
    """A Parquet file, to be read page by page: a group of rows may be as large as all of it."""
    if isinstance(source, str) and "://" in source:
        source = open_stream(source)
    return pq.ParquetFile(
        source, pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True
    )


class Forward:
    """Reads the rows of some columns forward, from a row on. `at` is the next one's number."""

    def __init__(self, file: pq.ParquetFile, leaves: Sequence[Leaf], start: int = 0) -> None:
        self.at = start
        self._file = file
        self._leaves = leaves
        groups = (file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups))
        self._bounds = np.cumsum([0, *groups])
        self._pieces: Iterator[Rows] = iter(())
        self._rest: Rows | None = None
        self._jump(start)

    def is_near(self, start: int) -> bool:
        """Whether a row is not before where it is, and within the same group of rows."""
        return self.at == start or (
            self.at < start and self._group_of(self.at) == self._group_of(start)
        )

    def take(self, end: int) -> Iterator[Rows]:
        """The rows up to one, in pieces. Raises ArrowInvalid if there are less."""
        while self.at < end:
            piece = self._rest if self._rest is not None else next(self._pieces, None)
            if piece is None:
                raise pa.ArrowInvalid(f"it ends before row {end:,}")
            size = min(len(piece), end - self.at)
            self._rest = piece.slice(size, len(piece)) if size < len(piece) else None
            self.at += size
            yield piece if self._rest is None else piece.slice(0, size)

    def pieces(self) -> Iterator[Rows]:
        """All that follow."""
        return self.take(int(self._bounds[-1]))

    def _group_of(self, row: int) -> int:
        return int(np.searchsorted(self._bounds, row, "right")) - 1

    def _jump(self, start: int) -> None:
        group = self._group_of(start)
        batches = self._file.iter_batches(
            _PIECE,
            row_groups=range(group, self._file.metadata.num_row_groups),
            columns=[each.path for each in self._leaves],
            use_threads=False,
        )
        self._pieces = (_rows(each, self._leaves) for each in batches if each.num_rows)
        self.at = int(self._bounds[group]) if group < len(self._bounds) - 1 else start
        for _ in self.take(start):
            pass


class _Readers:
    """The files that a process is reading, each where a range ended: the next one goes on there.

    Ranges come nearly in order, and within a group of rows only reading tells where one begins.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, tuple[object, Forward]] = OrderedDict()
        self._number = 0

    def take(self, path: str, leaves: Sequence[Leaf], start: int, end: int) -> list[Rows]:
        """Rows [start, end) of some columns of a file."""
        fs, inner = url_to_fs(path)
        known = (path, fs.ukey(inner), leaves)
        with self._lock:
            key, reader = self._nearest(known, start)
            self._kept.pop(key, None)  # unless all goes well
            if reader is None:
                reader = Forward(opened(path), leaves, start)
            for _ in reader.take(start):
                pass
            found = list(reader.take(end))
            self._kept[key] = known, reader
            while len(self._kept) > _READERS:
                self._kept.popitem(last=False)
        return found

    def _nearest(self, known: object, start: int) -> tuple[int, Forward | None]:
        near = [
            (reader.at, key)
            for key, (its, reader) in self._kept.items()
            if its == known and reader.is_near(start)
        ]
        if near:
            _, key = max(near)
            return key, self._kept[key][1]
        self._number += 1
        return self._number, None


_READERS_HERE = _Readers()


def _rows(batch: pa.RecordBatch, leaves: Iterable[Leaf]) -> Rows:
    found = [_values(_column(batch, each), each.is_date) for each in leaves]
    return Rows([lengths for lengths, _ in found], [values for _, values in found])


def _column(batch: pa.RecordBatch, leaf: Leaf) -> pa.Array:
    first, *others = leaf.names
    its = [i for i, name in enumerate(batch.schema.names) if name == first]
    array = batch.column(its[leaf.rank])
    for name in others:
        # Unlike `field`, it knows that what is in a missing object is missing.
        array = array.flatten()[array.type.get_field_index(name)]
    return array


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are texts, or bytes that may be."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    others = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(each(kind) for each in (*texts, *others, pa.types.is_fixed_size_binary))


def _is_date(kind: pa.DataType) -> bool:
    """Whether values of this type are dates, or numbers as years and months may be."""
    dates = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_integer, pa.types.is_floating)
    return any(each(kind) for each in dates)


def _values(array: pa.Array, is_date: bool) -> tuple[Lengths, memoryview]:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if is_date and _is_date(array.type):
        array = array.cast(pa.string())
    if not is_text(array.type):
        lengths = np.where(missing, _NONE, _NO_TEXT).astype(np.int64)
        return lengths, memoryview(b"")
    array = array.cast(pa.large_binary())
    if missing.any():
        array = array.fill_null(b"")
    _, offsets, values = array.buffers()
    bounds = np.frombuffer(offsets, np.int64, len(array) + 1, 8 * array.offset)
    lengths = np.where(missing, _NONE, np.diff(bounds))
    data = memoryview(b"") if values is None else memoryview(values)[bounds[0] : bounds[-1]]
    return lengths, data
