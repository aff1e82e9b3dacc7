"""Where the bytes of a file come from, and what they are known by."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, cast

from fsspec.core import url_to_fs

from daskingest.sources.archives import Member
from daskingest.sources.checksum import checksum
from daskingest.sources.codecs import Codec, Unpacked
from daskingest.sources.streams import blocks_of, open_stream, read_fully, reading

HEAD_BYTES = 64 << 10
"""How much of a file's beginning it is known by."""

_FINGERPRINT_SAMPLES = 32
_FINGERPRINT_BYTES = 64 << 10
_CRC = "crc32-"


@dataclass(frozen=True, slots=True)
class Origin:
    """A file, local or anywhere that fsspec can read, or a member of an archive.

    `path` is what it can be found by again, on this machine; of a member that is fsspec's
    `zip://MEMBER::ARCHIVE`. `name` is what the user calls it. `size` is in bytes, as it lies there,
    which may be compressed with `codec`. `note` is what is unusual about it. `before` is what an
    earlier version took it for: of an archive it knew only the first member, by the archive's
    bytes.
    """

    path: str
    size: int
    codec: Codec | None = None
    member: Member | None = None
    name: str = ""
    note: str = ""
    before: Origin | None = None

    @property
    def called(self) -> str:
        """What it is called in messages."""
        return self.name or self.path

    @property
    def packed(self) -> bool:
        """Whether only this process can read it, from its beginning: its ranges then carry their
        bytes."""
        return self.codec is not None or self.member is not None

    @property
    def content_size(self) -> int | None:
        """The size of its content, unpacked; None if that is not known."""
        return None if self.codec is not None else self.size

    def open(self) -> BinaryIO:
        """Its content as a stream of bytes, unpacked."""
        if self.codec is None:
            return self.open_packed()
        return cast(BinaryIO, Unpacked(self.open_packed(), self.codec))

    def open_packed(self) -> BinaryIO:
        """Its bytes as they lie there; of a member, as they would lie there if it was extracted."""
        return open_stream(self.path) if self.member is None else self.member.open()

    def size_now(self) -> int:
        """Its size in bytes, which may have changed since it was opened."""
        if self.member is not None:
            return self.size
        with reading(self.path):
            fs, inner = url_to_fs(self.path)
            return int(fs.info(inner)["size"])

    def head(self, size: int | None = None) -> str:
        """The checksum of what the file begins with; of the file cut to `size`, if it is given."""
        return checksum(self._begin(self.size if size is None else size))

    def heads(self, sizes: Iterable[int]) -> list[str]:
        """Its heads if it was cut to these sizes, which ascend; as far as it has so many bytes."""
        begin, digest, at, found = self._begin(HEAD_BYTES), hashlib.sha256(), 0, []
        for size in sizes:
            if size > len(begin):
                break
            digest.update(begin[at:size])
            at = size
            found.append(digest.hexdigest()[:32])
        return found

    def _begin(self, size: int) -> bytes:
        with reading(self.path), self.open_packed() as stream:
            return read_fully(stream, min(size, HEAD_BYTES))

    def fingerprint(self, size: int | None = None) -> str:
        """A text for the file's size and samples of its content, not its name.

        The same for a copy of the file on another machine. With `size` it is that of the file cut
        to so many bytes. Two files may share it: the checksums of their ranges tell them apart.
        A member of a zip, to sample which it would have to be unpacked, is known by the CRC-32 that
        the zip has of it; `same_sample` compares one kind with the other.
        """
        if self._crc is not None and size in (None, self.size):
            return _crc_text(self._crc, self.size)
        return self._samples(self.size_now() if size is None else size)

    def same_sample(self, sample: str, size: int) -> bool:
        """Whether that is the fingerprint of this file cut to `size`. It may take reading all."""
        before = self.before
        if before is not None and before.size == size and before.fingerprint(size) == sample:
            return True
        if size > self.size:
            return False
        if not sample.startswith(_CRC):
            return self._samples(size) == sample
        known = self._crc if size == self.size else None
        return _crc_text(self._crc_of(size) if known is None else known, size) == sample

    @property
    def _crc(self) -> int | None:
        return None if self.member is None else self.member.crc

    def _crc_of(self, size: int) -> int:
        crc = 0
        with reading(self.path), self.open_packed() as stream:
            for block in blocks_of(stream, size):
                crc = zlib.crc32(block, crc)
        return crc

    def _samples(self, size: int) -> str:
        digest = hashlib.sha256(str(size).encode())
        with reading(self.path), self.open_packed() as stream:
            step = max(1, (size - _FINGERPRINT_BYTES) // (_FINGERPRINT_SAMPLES - 1))
            last = max(0, size - _FINGERPRINT_BYTES)
            offsets = (*range(0, size, max(step, _FINGERPRINT_BYTES)), last)
            spans = [(each, min(_FINGERPRINT_BYTES, size - each)) for each in offsets]
            if stream.seekable():
                for offset, length in spans:
                    stream.seek(offset)
                    digest.update(stream.read(length))
            else:
                for part in _parts(blocks_of(stream, size), spans):
                    digest.update(part)
        return digest.hexdigest()[:16]


def _crc_text(crc: int, size: int) -> str:
    return f"{_CRC}{crc:08x}-{size}"


def _parts(blocks: Iterable[bytes], spans: list[tuple[int, int]]) -> list[bytes]:
    """What a stream has at these places, by offset and length."""
    parts, at = [b""] * len(spans), 0
    for block in blocks:
        for i, (offset, length) in enumerate(spans):
            first, last = max(offset - at, 0), offset + length - at
            if first < len(block) and last > first:
                parts[i] += block[first:last]
        at += len(block)
    return parts
