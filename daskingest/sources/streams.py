"""Streams of a file's bytes, local or wherever fsspec reaches."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

import fsspec

from daskingest.errors import DaskingestError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Damaged(Exception):
    """What is read is not what its format says. It says how."""


def open_stream(path: str) -> BinaryIO:
    """A file as a stream of bytes, as they lie there."""
    return cast(BinaryIO, fsspec.open(path, "rb").open())


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turns what may happen to a file while it is read into a DaskingestError."""
    try:
        yield
    except Damaged as error:
        raise DaskingestError(
            f"cannot read {path}: {error}; it is incomplete or damaged: fetch it again"
        ) from error
    except (OSError, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DaskingestError(
            f"cannot read {path}: {reason}; if it is incomplete or damaged, fetch it again"
        ) from error


class Section(io.RawIOBase):
    """`size` bytes of something from `start` on. `read_at` gives those at a position, at most so
    many. Raises Damaged if it ends before they do.
    """

    def __init__(self, read_at: Callable[[int, int], bytes], start: int, size: int) -> None:
        self._read_at = read_at
        self._start = start
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.RawIOBase`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """See `io.RawIOBase`."""
        with memoryview(buffer).cast("B") as view:
            most = min(len(view), self._size - self._at)
            if most <= 0:
                return 0
            data = self._read_at(self._start + self._at, most)
            if not data:
                raise Damaged(f"it is cut off at byte {self._start + self._at:,}")
            view[: len(data)] = data
            self._at += len(data)
        return len(data)


def skip(stream: BinaryIO, size: int) -> None:
    """Pass over so many bytes of a stream that is at its beginning."""
    if stream.seekable():
        stream.seek(size)
        return
    while size and (part := stream.read(min(size, 1 << 20))):
        size -= len(part)


def blocks_of(stream: BinaryIO, left: int) -> Iterator[bytes]:
    """What follows in a stream, up to `left` bytes; all of it if that is negative."""
    while left and (part := stream.read(min(left, 1 << 20) if left > 0 else 1 << 20)):
        left -= len(part) if left > 0 else 0
        yield part


def read_fully(stream: BinaryIO, size: int) -> bytes:
    """So many bytes, or all there are: a single read may give less."""
    parts, missing = [], size
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
