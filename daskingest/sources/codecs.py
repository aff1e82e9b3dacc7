"""Compressed data, of every kind that is read: one reader, which notices where it is cut off.

Python's own readers take what is behind the end of the data for nothing, so they lose a second
stream whose first bytes are damaged, and one of the two libraries for zstd takes data that is cut
off to be complete. Here data is as its format says: one frame after the other, each complete, and
then the end, or zeros to the end, which tapes and block devices leave.
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from daskingest.sources.streams import Damaged

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BLOCK = 128 << 10  # read at once of the compressed data
_LARGEST_WINDOW = 31  # of zstd, as a power of two: what its option --long may ask for


class Decoder(Protocol):
    """Unpacks one frame, as `bz2.BZ2Decompressor` does."""

    @property
    def eof(self) -> bool:
        """Whether the frame's end was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more can be unpacked without more of the frame."""

    @property
    def unused_data(self) -> bytes:
        """What was given of the data behind the frame's end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """The next bytes, at most so many."""


class _Inflater:
    """A member of gzip data. Its checksum and length are compared by zlib. See `Decoder`."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        # As long as it gives all that it may, there can be more in it than was asked for.
        self.needs_input = not self._inner.unconsumed_tail and len(found) < max_length
        return found


def _zstd() -> Decoder:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    options = {int(zstd.DecompressionParameter.window_log_max): _LARGEST_WINDOW}
    return cast(Decoder, zstd.ZstdDecompressor(options=options))


@dataclass(frozen=True, slots=True)
class Codec:
    """A kind of compression: what its frames begin with, and what names end with."""

    name: str
    begin: re.Pattern[bytes]
    endings: tuple[str, ...]
    decoder: Callable[[], Decoder]


CODECS = (
    Codec("gzip", re.compile(rb"\x1f\x8b\x08"), (".gz", ".tgz"), _Inflater),
    Codec(
        "bzip2",
        re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
        (".bz2", ".tbz2", ".tbz"),
        cast(Callable[[], Decoder], bz2.BZ2Decompressor),
    ),
    Codec(
        "xz",
        re.compile(rb"\xfd7zXZ\0"),
        (".xz", ".txz"),
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
    ),
    Codec(
        "lzma",
        re.compile(rb"\x5d\0\0"),
        (".lzma",),
        lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE),
    ),
    Codec(
        "zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), (".zst", ".tzst"), _zstd
    ),
)

_LONGEST_BEGIN = 10

_OTHERS = {
    "lz4": b"\x04\x22\x4d\x18",
    "compress (.Z)": b"\x1f\x9d",
    "7-Zip": b"7z\xbc\xaf\x27\x1c",
    "RAR": b"Rar!\x1a\x07",
    "lzip": b"LZIP\x01",
    "snappy": b"\xff\x06\0\0sNaPpY",
}


def codec_of(head: bytes) -> Codec | None:
    """What data is compressed with, by its first bytes. None: it is not, as far as is known."""
    return next((each for each in CODECS if each.begin.match(head)), None)


def codec_named(name: str) -> Codec | None:
    """What data is compressed with, by its name."""
    return next((each for each in CODECS if name.lower().endswith(each.endings)), None)


def unsupported(head: bytes) -> str | None:
    """The name of a kind of compression or archive that is known, but not read."""
    return next((name for name, begin in _OTHERS.items() if head.startswith(begin)), None)


class Unpacked(io.RawIOBase):
    """The content of compressed data, from its beginning to its end; closes its `source`.

    Raises Damaged where the data is damaged, cut off, or followed by something else. What it holds
    in memory does not grow with the data.
    """

    def __init__(self, source: BinaryIO, codec: Codec) -> None:
        self._source = source
        self._codec = codec
        self._decoder = codec.decoder()
        self._input = b""
        self._read = 0
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """See `io.RawIOBase`."""
        with memoryview(buffer).cast("B") as view:
            data = self._next(len(view))
            view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the source, too."""
        self._source.close()
        super().close()

    def _next(self, most: int) -> bytes:
        while most and not self._ended:
            if self._decoder.eof:
                self._begin_next_frame()
                continue
            if self._decoder.needs_input and not self._input and not self._fill():
                raise Damaged(f"its {self._codec.name} data is cut off")
            data, self._input = self._input, b""
            if found := self._decode(data, most):
                return found
        return b""

    def _decode(self, data: bytes, most: int) -> bytes:
        try:
            return self._decoder.decompress(data, most)
        except Exception as error:  # whatever a codec raises, it is about the data
            raise Damaged(f"its {self._codec.name} data is damaged ({error})") from error

    def _fill(self) -> bool:
        more = self._source.read(_BLOCK)
        self._read += len(more)
        self._input += more
        return bool(more)

    def _begin_next_frame(self) -> None:
        self._input = self._decoder.unused_data.lstrip(b"\0")
        while len(self._input) < _LONGEST_BEGIN and self._fill():
            self._input = self._input.lstrip(b"\0")
        if not self._input:
            self._ended = True
        elif self._codec.begin.match(self._input):
            self._decoder = self._codec.decoder()
        else:
            raise Damaged(
                f"its {self._codec.name} data ends before byte {self._read - len(self._input):,}, "
                "and what follows is something else"
            )
