"""The CSV file in a zip, taken out as safely as a zip from anywhere needs it."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daskingest.transfer import Watcher

_PIECE = 1 << 20
_LONGEST_NAME = 200  # bytes; file systems take 255, and endings are added
_NAMES_SHOWN = 5
_UNSOUND = (
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises, besides BadZipFile, for a damaged zip or one of a kind it doesn't know."""


class ContentsError(Exception):
    """A sound zip, but without exactly one CSV file; the message says what is in it."""


def csv_in(path: Path) -> zipfile.ZipInfo:
    """The one CSV file in a zip. Raises ContentsError, zipfile.BadZipFile."""
    with _only_bad_zip_file():
        archive = zipfile.ZipFile(path)
    with archive:
        files = [
            each
            for each in archive.infolist()
            # What macOS adds are attributes of files, under the files' names.
            if not each.is_dir() and "__MACOSX" not in each.filename.split("/")
        ]
    found = [each for each in files if each.filename.lower().endswith(".csv")]
    if len(found) != 1:
        names = [safe_name(each.filename) for each in found or files]
        more = ", ..." if len(names) > _NAMES_SHOWN else ""
        raise ContentsError((", ".join(names[:_NAMES_SHOWN]) or "nothing") + more)
    return found[0]


def unpack(path: Path, member: zipfile.ZipInfo, out: Path, watcher: Watcher) -> None:
    """Write a member of a zip to `out`: as many bytes as it declares, their checksum compared.

    Raises zipfile.BadZipFile, and OSError if `out` can't be written.
    """
    done = 0
    watcher.begin("unpacking", 0, member.file_size)
    with out.open("wb") as file:
        for piece in _pieces(path, member):
            done += len(piece)
            if done > member.file_size:
                break
            file.write(piece)
            watcher.update(done)
    if done != member.file_size:
        raise zipfile.BadZipFile(f"it declares {member.file_size:,} bytes and has others")


def _pieces(path: Path, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with _only_bad_zip_file(), zipfile.ZipFile(path) as archive, archive.open(member) as source:
        while piece := source.read(_PIECE):
            yield piece


@contextmanager
def _only_bad_zip_file() -> Iterator[None]:
    try:
        yield
    except _UNSOUND as error:
        raise zipfile.BadZipFile(str(error) or type(error).__name__) from error


def safe_name(path: str) -> str:
    """The last name in a path, as a file may be named anywhere: no folders, no hidden file."""
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = "".join(c if c.isprintable() and c not in ':*?"<>|' else "_" for c in name)
    return name.encode()[-_LONGEST_NAME:].decode(errors="ignore").lstrip(".") or "download"
