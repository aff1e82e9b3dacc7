"""A CSV file as parcels, one per request: the same ones whenever the file is read."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from daskingest.articles import Article, Reject
from daskingest.months import month_text
from daskingest.settings import UploadSettings
from daskingest.sources.checksum import Kind
from daskingest.sources.datafile import DataFile
from daskingest.upload.marks import START, Mark, Reading

_MAX_REJECTS = 1_000  # per parcel, so a file of rejects only is not held in memory
_GZIP_LEVEL = 1  # twice as fast as the default, with bodies a fifth larger


@dataclass(frozen=True, slots=True)
class Item:
    """An article as JSON, with the number of its row, from 0, and the row's byte offset."""

    row: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Parcel:
    """The articles of one request, and the rejected rows between them.

    `number` is its index among the upload's parcels, `first` the index of its first article among
    the file's, both from 0. `position` is the progress after it, in the unit of `length_of`, and
    `read` how far all the file's rows are in it or in those before it.
    """

    number: int
    repetition: int
    first: int
    items: list[Item]
    rejects: list[Reject]
    position: int
    read: Mark
    body: bytes

    @property
    def name(self) -> str:
        """Identifies it among the upload's parcels; the same at every attempt."""
        return f"{self.repetition}-{self.first}-{len(self.items)}"

    @property
    def size(self) -> int:
        """Bytes of its articles' JSON, uncompressed."""
        return sum(len(item.data) for item in self.items)

    def halves(self, settings: UploadSettings) -> Iterator[Parcel]:
        """Its articles as two parcels."""
        middle = len(self.items) // 2
        for start, items in ((0, self.items[:middle]), (middle, self.items[middle:])):
            first, body = self.first + start, _body(items, settings)
            yield dataclasses.replace(self, first=first, items=items, rejects=[], body=body)


def parcels(file: DataFile, settings: UploadSettings, begun: Mark = START) -> Iterator[Parcel]:
    """The file's articles, as often as they should be sent.

    Raises DaskingestError, also if the file up to `begun` is not what it was.
    """
    number, reading = 0, Reading(file.origin.path, begun, file.unit)
    for repetition in range(settings.repeat):
        first = 0
        for items, rejects, offset in _gathered(
            _rows(file, settings, reading), settings.articles_per_request
        ):
            done, each = first + len(items), settings.count or file.extent.end or file.origin.size
            position = repetition * each + (done if settings.count else offset)
            body = _body(items, settings)
            yield Parcel(number, repetition, first, items, rejects, position, reading.mark, body)
            number, first = number + 1, done


def length_of(file: DataFile, settings: UploadSettings) -> int | None:
    """The length of the upload: articles if limited, else in the file's unit; None if unknown."""
    each = settings.count or file.extent.end
    return None if each is None else each * settings.repeat


def _rows(
    file: DataFile, settings: UploadSettings, reading: Reading
) -> Iterator[tuple[int, Item | Reject]]:
    """The file's rows with their offsets, up to the last article to be sent."""
    taken = 0
    for part in file.ranges(kind=Kind.SHA256):  # which all machines can make
        reading.enter(part)
        for row, (offset, each) in enumerate(part.placed_rows(), part.first_row):
            if isinstance(each, Reject):
                yield offset, dataclasses.replace(each, row=row)
                continue
            yield offset, Item(row, offset, _as_json(each, row, settings))
            taken += 1
            if taken == settings.count:
                return


def _gathered(
    rows: Iterable[tuple[int, Item | Reject]], limit: int
) -> Iterator[tuple[list[Item], list[Reject], int]]:
    """The articles in groups of `limit`, with the rejects among them and the offset of the last."""
    items: list[Item] = []
    rejects: list[Reject] = []
    offset = 0
    for offset, each in rows:
        if isinstance(each, Item):
            items.append(each)
        else:
            rejects.append(each)
        if len(items) == limit or len(rejects) == _MAX_REJECTS:
            yield items, rejects, offset
            items, rejects = [], []
    if items or rejects:
        yield items, rejects, offset


def _as_json(article: Article, row: int, settings: UploadSettings) -> bytes:
    """The article as JSON. Its id is its row number, as in rejects, so that it can be found."""
    value: dict[str, Any] = {"publication": article.publication, "content": article.content}
    if not settings.legacy:
        value["id"] = row + 1
        if article.month is not None:
            value["published"] = month_text(article.month)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _body(items: list[Item], settings: UploadSettings) -> bytes:
    """The body of a request: one article, or lines; the same bytes each time."""
    body = b"\n".join(item.data for item in items)
    return gzip.compress(body, _GZIP_LEVEL, mtime=0) if settings.compressed else body
