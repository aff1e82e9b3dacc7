"""A Parquet file of articles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daskingest.articles import Columns, FindColumns, column_index
from daskingest.errors import UsageError
from daskingest.progress import Progress
from daskingest.settings import BATCH_BYTES
from daskingest.sources.checksum import FASTEST, Kind, checksum
from daskingest.sources.datafile import Extent, Growth
from daskingest.sources.formats import Format, misnamed
from daskingest.sources.origin import Origin
from daskingest.sources.parquetrows import (
    Forward,
    Leaf,
    Lengths,
    ParquetRange,
    Rows,
    is_text,
    opened,
    reading_parquet,
)
from daskingest.sources.spooling import unlinked

_DEPTH = 20  # of fields in fields
_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A Parquet file, see `DataFile`. Open it with `open_parquet`.

    `wanted` are the columns that are read, by name, and `types` those of them that are no text.
    """

    origin: Origin
    columns: Columns
    names: tuple[str, ...]
    wanted: dict[str, Leaf]
    types: dict[str, str]
    row_count: int
    row_bytes: float
    traits: str
    notes: tuple[str, ...] = ()
    kind = Format.PARQUET
    unit = "rows"
    encoding = ""
    slow = ""

    @property
    def extent(self) -> Extent:
        """See `DataFile.extent`."""
        return Extent(0, self.row_count)

    def size_of(self, extent: Extent) -> int | None:
        """See `DataFile.size_of`."""
        return round(self.row_bytes * self.count_rows(extent))

    def ranges(
        self,
        batch_bytes: int = BATCH_BYTES,
        extent: Extent | None = None,
        kind: Kind = FASTEST,
    ) -> Iterator[ParquetRange]:
        """See `DataFile.ranges`."""
        extent = extent or self.extent
        end = self._end(extent)
        with _open(self.origin) as file:
            forward = Forward(file, list(self.wanted.values()), extent.start)
            at = extent.start
            for pieces in _grouped(forward.take(end), max(1, batch_bytes)):
                data, rows = Rows.packed(pieces), sum(map(len, pieces))
                yield ParquetRange(
                    path=self.origin.path,
                    start=at,
                    end=at + rows,
                    first_row=at,
                    row_count=rows,
                    checksum=checksum(data, kind),
                    data=data if self.origin.packed else None,
                    columns=self.columns,
                    names=tuple(self.wanted),
                    leaves=tuple(self.wanted.values()),
                    types=tuple(self.types.items()),
                    length=len(data),
                )
                at += rows

    def count_rows(self, extent: Extent | None = None) -> int:
        """See `DataFile.count_rows`; Parquet says it."""
        extent = extent or self.extent
        return max(0, self._end(extent) - extent.start)

    def growth(self, start: int, end: int) -> Growth | None:
        """See `DataFile.growth`: a file that was written anew, with more rows."""
        return Growth(end) if end < self.row_count else None

    def _end(self, extent: Extent) -> int:
        return self.row_count if extent.end is None else min(extent.end, self.row_count)


def _grouped(pieces: Iterator[Rows], least: int) -> Iterator[list[Rows]]:
    """Rows of at least so many bytes together, however they come in pieces."""
    found: list[Rows] = []
    size = 0
    for piece in pieces:
        ends, at = np.cumsum(piece.sizes), 0
        while at < len(piece):
            before = int(ends[at - 1]) if at else 0
            end = int(np.searchsorted(ends, least - size + before)) + 1
            found.append(piece.slice(at, min(end, len(piece))))
            if end > len(piece):
                size += int(ends[-1]) - before
                break
            yield found
            found, size, at = [], 0, end
    if found:
        yield found


@contextmanager
def _open(origin: Origin) -> Iterator[pq.ParquetFile]:
    """A file, which must be unpacked if it is packed: one begins to read Parquet at its end."""
    with ExitStack() as stack, reading_parquet(origin.called):
        source: str | BinaryIO = origin.path
        if origin.packed:
            source = stack.enter_context(
                unlinked(origin.open(), origin.called, Progress(), "for its end is needed first")
            )
        yield stack.enter_context(opened(source))


def open_parquet(origin: Origin, find: FindColumns) -> ParquetFile:
    """Open a file and find its columns.

    Raises UsageError if it has no column for the content or the publication, and DaskingestError if
    it is damaged.
    """
    with _open(origin) as file:
        leaves, metadata = dict(_leaves(file.schema_arrow)), file.metadata
        names = [leaf.path for leaf in leaves]
        try:
            columns = find(names)
        except UsageError as error:
            raise UsageError(f"{origin.called}: {error}") from None
        wanted, types = {}, {}
        for name in (columns.publication, *columns.dates, columns.content):
            leaf = list(leaves)[column_index(names, name) or 0]
            is_date = name not in (columns.content, columns.publication)
            wanted[name] = replace(leaf, is_date=is_date)
            if not is_text(leaves[leaf]):
                types[name] = str(leaves[leaf])
        row_bytes = _row_bytes(file, list(wanted.values()))
    return ParquetFile(
        origin,
        columns,
        tuple(names),
        wanted,
        types,
        metadata.num_rows,
        row_bytes,
        _traits(metadata),
        (*misnamed(origin.called, Format.PARQUET), *_notes(origin, columns, types)),
    )


def _leaves(schema: pa.Schema) -> Iterator[tuple[Leaf, pa.DataType]]:
    """All columns and their types; names of fields in fields come behind the outer one's."""
    ranks: dict[str, int] = {}
    for field in schema:
        rank = ranks.get(field.name, 0)
        ranks[field.name] = rank + 1
        for names, kind in _inside(field):
            yield Leaf(names, rank), kind


def _inside(field: pa.Field, depth: int = 0) -> Iterator[tuple[tuple[str, ...], pa.DataType]]:
    if not pa.types.is_struct(field.type) or depth == _DEPTH:
        yield (field.name,), field.type
        return
    for each in field.type:
        for names, kind in _inside(each, depth + 1):
            yield (field.name, *names), kind


def _row_bytes(file: pq.ParquetFile, leaves: list[Leaf]) -> float:
    """About how many bytes the rows have, on average, from a few at some places.

    (That of each column is in the file, but to ask for it ends the process if it is damaged.)
    """
    groups = file.metadata.num_row_groups
    sizes: list[Lengths] = []
    for group in range(0, groups, max(1, -(-groups // _SAMPLES))):
        start = sum(file.metadata.row_group(i).num_rows for i in range(group))
        piece = next(Forward(file, leaves, start).pieces(), None)
        sizes += [] if piece is None else [piece.sizes]
    return float(np.concatenate(sizes).mean()) if sizes else 0.0


def _traits(metadata: pq.FileMetaData) -> str:
    groups = metadata.num_row_groups
    written = metadata.created_by or "an unknown program"
    return f"{groups:,} group{'s' if groups != 1 else ''} of rows, written by {written}"


def _notes(origin: Origin, columns: Columns, types: dict[str, str]) -> Iterator[str]:
    for role in ("content", "publication"):
        name = getattr(columns, role)
        if name in types:
            yield (
                f"{origin.called}: the column {name!r} holds {types[name]}, not text, so every row "
                f"will be rejected; name another with --{role}-column"
            )
