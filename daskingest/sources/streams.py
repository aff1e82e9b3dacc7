"""Streams of a file's bytes, local or wherever fsspec reaches."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import fsspec

from daskingest.errors import DaskingestError


def open_stream(path: str, compression: str | None) -> BinaryIO:
    """A file as a stream of bytes, decompressed if fsspec's name of its compression is given."""
    return cast(BinaryIO, fsspec.open(path, "rb", compression=compression).open())


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turns what may happen to a file while it is read into a DaskingestError."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        reason = str(error) or type(error).__name__
        raise DaskingestError(
            f"cannot read {path}: {reason}; if it is incomplete or damaged, fetch it again"
        ) from error


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
