"""Archives: the members of a zip or a tar, each a stream of bytes.

Both are read with Python's modules, which pass over some damage: what a directory is said to hold
and does not, what follows where a tar seems to end. Here that is an error, for rows would be
missing without a word.
"""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from daskingest.sources.codecs import Codec, Unpacked
from daskingest.sources.spooling import unlinked
from daskingest.sources.streams import Damaged, Section, blocks_of, open_stream

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from daskingest.progress import Progress

_METHODS = {
    1: "shrink",
    6: "implode",
    9: "deflate64",
    10: "TERSE",
    93: "zstd",
    95: "xz",
    98: "PPMd",
}
_AES = 99
_BLOCK = 512  # of a tar
_READING = threading.Lock()  # of the members of a tar, which share one position in it
_FAILURES: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, struct.error),
    *(RuntimeError, ValueError, KeyError, IndexError, OverflowError),
)
"""What the modules raise for an archive that is damaged."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive, of `size` bytes; `open` gives its content as a stream.

    `crc` is its CRC-32, where the archive says so: then only reading all of it tells more. What
    cannot be read says in `problem` why.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]
    crc: int | None = None
    problem: str = ""


def is_zip(head: bytes) -> bool:
    """Whether what begins so is a zip, which may be empty or in parts."""
    return head.startswith((b"PK\3\4", b"PK\5\6", b"PK\7\x08"))


def is_tar(head: bytes) -> bool:
    """Whether what begins so is a tar: its first header has a checksum that is right, or the magic
    that all but the oldest have.
    """
    if len(head) < _BLOCK:
        return False
    if head[257:262] == b"ustar":
        return True
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True


def zip_members(path: str) -> list[Member]:
    """The members of a zip, in the order of its directory, folders and links left out.

    Raises Damaged, also if its directory does not have as many entries as it says.
    """
    stream = open_stream(path)
    with _as_damage("the zip"):
        try:
            archive = zipfile.ZipFile(stream)
        except zipfile.BadZipFile as error:
            stream.close()
            raise Damaged(f"the zip has no whole directory at its end ({error})") from None
        weakref.finalize(archive, stream.close)
        entries = archive.infolist()
        if (said := _entries_said(stream)) not in (0xFFFF, len(entries) & 0xFFFF):
            raise Damaged(f"the zip's directory has {len(entries):,} entries instead of {said:,}")
    return [_zip_member(archive, each) for each in entries if not each.is_dir()]


def _entries_said(stream: BinaryIO) -> int:
    """How many entries the directory's end says that it has; 65,535 if it says so elsewhere."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - (1 << 16) - 22))
    tail = stream.read()
    return int.from_bytes(tail[(at := tail.rfind(b"PK\5\6")) + 10 : at + 12], "little")


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Member:
    problem, method = "", entry.compress_type
    if entry.flag_bits & 1 or method == _AES:
        problem = "it is locked with a password: unpack it first"
    elif method not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
        zipfile.ZIP_BZIP2,
        zipfile.ZIP_LZMA,
    ):
        name = _METHODS.get(method, f"method {method}")
        problem = f"it is compressed with {name}, which cannot be read here: unpack it first"

    def open_it() -> BinaryIO:
        with _as_damage("the zip"):
            return cast(BinaryIO, _ZipStream(cast(BinaryIO, archive.open(entry)), entry.file_size))

    return Member(entry.filename, entry.file_size, open_it, entry.CRC, problem)


class _ZipStream(io.RawIOBase):
    """A member's content; zipfile compares its checksum at its end. Raises Damaged."""

    def __init__(self, inner: BinaryIO, size: int) -> None:
        self._inner = inner
        self._left = size

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """See `io.RawIOBase`."""
        with memoryview(buffer).cast("B") as view, _as_damage("the zip", OSError):
            data = self._inner.read(len(view))
            view[: len(data)] = data
            self._left -= len(data)
            if len(view) and not data and self._left:
                raise Damaged("the zip's directory says another size of it")
        return len(data)

    def close(self) -> None:
        """Close what it reads from."""
        self._inner.close()
        super().close()


def tar_members(path: str, codec: Codec | None, progress: Progress) -> list[Member]:
    """The files in a tar, in their order.

    One that is compressed is unpacked into a file of the spool folder first, which nobody sees and
    which is gone with the process. Raises Damaged, also if the tar does not end where it should.
    """
    stream = open_stream(path)
    if codec is not None:
        stream = unlinked(cast(BinaryIO, Unpacked(stream, codec)), path, progress)
    with _as_damage("the tar"):
        try:
            archive = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115
        except BaseException:
            stream.close()
            raise
        weakref.finalize(archive, stream.close)  # nothing else knows when nobody reads it any more
        entries = _tar_entries(archive, stream)

    def open_at(entry: tarfile.TarInfo) -> BinaryIO:
        return _section(partial(_read_at, archive), entry)

    return [_tar_member(each, open_at) for each in entries if each.isfile()]


def _read_at(archive: tarfile.TarFile, start: int, size: int) -> bytes:
    with _READING:
        assert archive.fileobj is not None
        archive.fileobj.seek(start)
        return archive.fileobj.read(size)


def _section(read_at: Callable[[int, int], bytes], entry: tarfile.TarInfo) -> BinaryIO:
    return cast(BinaryIO, Section(read_at, entry.offset_data, entry.size))


def _tar_member(entry: tarfile.TarInfo, open_at: Callable[[tarfile.TarInfo], BinaryIO]) -> Member:
    problem = "it is stored with holes (sparse): unpack it first" if entry.issparse() else ""
    return Member(entry.name, entry.size, lambda: open_at(entry), None, problem)


def _tar_entries(archive: tarfile.TarFile, stream: BinaryIO) -> list[tarfile.TarInfo]:
    """The entries. Raises Damaged unless what follows the last one is its end: zeros alone."""
    entries = archive.getmembers()
    stream.seek(archive.offset)
    at = archive.offset
    for block in blocks_of(stream, -1):
        if rest := block.lstrip(b"\0"):
            at += len(block) - len(rest)
            raise Damaged(f"at byte {at:,} of the tar there is no header of a member, nor its end")
        at += len(block)
    if at - archive.offset < _BLOCK:
        raise Damaged(f"the tar is cut off at byte {at:,}: it has no end")
    return entries


@contextmanager
def _as_damage(what: str, *more: type[Exception]) -> Iterator[None]:
    try:
        yield
    except Damaged:
        raise
    except (*_FAILURES, *more) as error:
        reason = str(error) or type(error).__name__
        raise Damaged(f"{what} is damaged ({reason})") from error
