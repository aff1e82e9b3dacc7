"""What every file of articles can do, whatever its format: be cut into ranges of whole rows.

A range is what a task is given of a file, instead of text. Where it begins and ends is told in the
format's `unit`: bytes of the unpacked file where rows are text, else rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from daskingest.articles import Article, Columns, Reject
from daskingest.errors import DaskingestError
from daskingest.settings import BATCH_BYTES
from daskingest.sources.checksum import FASTEST, Kind, matches
from daskingest.sources.formats import Format
from daskingest.sources.origin import Origin
from daskingest.sources.streams import open_stream, read_fully, reading

PROBE_BYTES = 1 << 20
"""How much of a file is looked at to find out what it is."""

INVALID_UTF8 = "invalid UTF-8"


@dataclass(frozen=True, slots=True)
class Extent:
    """Whole rows of a file, `first_row` of them the first: [start, end); None: to its end."""

    start: int
    end: int | None = None
    first_row: int = 0


@dataclass(frozen=True, slots=True)
class Growth:
    """What a file grew by: where its rows begin, None if no row does; `size` in bytes, if known.

    `broken` is the row that was not all there before, if there is one.
    """

    start: int | None
    size: int | None = None
    broken: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRange(ABC):
    """A range of whole rows: what a task is given of a file, instead of text.

    `first_row` is the number of rows before it, `row_count` its own. `checksum` is that of its
    content when the file was cut. `data` holds the content where a worker could not read the range
    by itself, as in a compressed file.
    """

    path: str
    start: int
    end: int
    first_row: int = 0
    row_count: int = 0
    checksum: str = ""
    data: bytes | None = None

    @property
    @abstractmethod
    def size(self) -> int:
        """Length in bytes."""

    @property
    def nbytes(self) -> int:
        """The bytes of its content that it has with it."""
        return len(self.data or b"")

    @abstractmethod
    def placed_rows(self) -> Iterator[tuple[int, Article | Reject]]:
        """The rows in order, each an article or a reject, with its place in the file.

        Raises DaskingestError if they are not those that the file was cut with.
        """

    def rows(self) -> Iterator[Article | Reject]:
        """The rows as from `placed_rows`."""
        return (row for _, row in self.placed_rows())

    def _changed(self, unit: str) -> DaskingestError:
        return DaskingestError(
            f"{unit} {self.start:,} to {self.end:,} of {self.path} are not what they were when "
            "the run began: they were changed since, or this machine has another file there; "
            "these rows were not counted; restore the file, and run it again"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRange(DataRange):
    """A range of bytes: of a format in which rows are text."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.end - self.start

    def read(self) -> bytes:
        """The bytes. Raises DaskingestError if they are not those that the file was cut with."""
        if self.data is not None:
            return self.data
        with reading(self.path), open_stream(self.path) as stream:
            stream.seek(self.start)
            data = read_fully(stream, self.size)
        if len(data) != self.size:
            raise DaskingestError(
                f"{self.path} was changed while it was being read: expected {self.size:,} bytes at "
                f"{self.start:,}, found {len(data):,}; run it again with the complete file"
            )
        if self.checksum and not matches(data, self.checksum):
            raise self._changed("bytes")
        return data


class DataFile(Protocol):
    """A file of articles. Open one with `open_file`."""

    @property
    def origin(self) -> Origin:
        """Where its bytes come from."""

    @property
    def columns(self) -> Columns:
        """The columns that hold the content and the publication."""

    @property
    def kind(self) -> Format:
        """Its format."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all its columns, as far as they are known."""

    @property
    def traits(self) -> str:
        """How it is written, as its format can be written in several ways; for people."""

    @property
    def encoding(self) -> str:
        """Python's name of its encoding; empty where that is UTF-8, and where there are no texts
        to decode."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is unusual about it and should be said, a line each."""

    @property
    def unit(self) -> str:
        """What extents and places are counted in: "bytes" or "rows"."""

    @property
    def extent(self) -> Extent:
        """All of its rows, as far as the file went when it was opened."""

    @property
    def slow(self) -> str:
        """Why it takes longer than others to be cut; empty if it doesn't."""

    def size_of(self, extent: Extent) -> int | None:
        """About how many bytes the ranges of an extent have together; None if that is not known."""

    def ranges(
        self,
        batch_bytes: int = BATCH_BYTES,
        extent: Extent | None = None,
        kind: Kind = FASTEST,
    ) -> Iterator[DataRange]:
        """The file's rows, in ranges of at least `batch_bytes` (the last may be smaller).

        Every row, or every one of `extent`, is in exactly one range, with its checksum of this
        kind. The ranges depend only on the file's content and on `batch_bytes`. Where the origin is
        packed they carry their content. Raises DaskingestError if the file cannot be read to its
        end.
        """

    def count_rows(self, extent: Extent | None = None) -> int:
        """The number of rows, read one after the other: slow, and independent of any cuts."""

    def growth(self, start: int, end: int) -> Growth | None:
        """What is behind `end`, where the file once ended; a row begins at `start`.

        None if nothing is. Raises DaskingestError if the file cannot be read.
        """
