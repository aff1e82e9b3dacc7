"""Extracts the CSV file from a zip that may come from anywhere, safely."""

from __future__ import annotations

import errno
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daskingest.download.step import Step
from daskingest.progress import Progress

_PIECE = 1 << 20
_LONGEST_NAME = 200  # bytes; file systems take 255, and endings are added
_NAMES_SHOWN = 5
_UNSOUND = (zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError)
"""What zipfile raises, besides BadZipFile, for a damaged zip."""
_UNSOUND_ERRNO = (None, errno.EINVAL)
"""The errno of an OSError from bz2, or from a seek before the zip's start, not from the disk."""


class ContentsError(Exception):
    """A zip does not have exactly one CSV file, or zipfile doesn't support it.

    The message says what was found.
    """


def csv_in(path: Path) -> zipfile.ZipInfo:
    """The one CSV file in a zip. Raises ContentsError, zipfile.BadZipFile."""
    with _told_apart():
        archive = zipfile.ZipFile(path)
    with archive:
        files = [
            each
            for each in archive.infolist()
            # macOS adds the attributes of files, under the same names.
            if not each.is_dir() and "__MACOSX" not in each.filename.split("/")
        ]
    found = [each for each in files if each.filename.lower().endswith(".csv")]
    if len(found) != 1:
        names = [safe_name(each.filename) for each in found or files]
        more = ", ..." if len(names) > _NAMES_SHOWN else ""
        raise ContentsError((", ".join(names[:_NAMES_SHOWN]) or "nothing") + more)
    return found[0]


def unpack(path: Path, member: zipfile.ZipInfo, out: Path, progress: Progress) -> None:
    """Write a member of a zip to `out`, verifying its declared size and its checksum.

    Raises ContentsError, zipfile.BadZipFile, and OSError if the disk fails.
    """
    done = 0
    step = Step(progress, "unpacking", 0, member.file_size)
    with out.open("wb") as file:
        for piece in _pieces(path, member):
            done += len(piece)
            if done > member.file_size:
                break
            file.write(piece)
            step.show(done)
    if done != member.file_size:
        raise zipfile.BadZipFile(
            f"it declares {member.file_size:,} bytes, but has a different number"
        )


def _pieces(path: Path, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with _told_apart(), zipfile.ZipFile(path) as archive, archive.open(member) as source:
        while piece := source.read(_PIECE):
            yield piece


@contextmanager
def _told_apart() -> Iterator[None]:
    """Raise BadZipFile for a damaged zip, ContentsError for an unsupported one."""
    try:
        yield
    except RuntimeError as error:  # encrypted, or NotImplementedError: unsupported method
        raise ContentsError(f"contents that cannot be unpacked here ({error})") from error
    except (*_UNSOUND, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _UNSOUND_ERRNO:
            raise
        raise zipfile.BadZipFile(str(error) or type(error).__name__) from error


def safe_name(path: str) -> str:
    """The last name in a path, as a name that is safe everywhere: no folders, no hidden file."""
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = "".join(c if c.isprintable() and c not in ':*?"<>|' else "_" for c in name)
    return name.encode()[-_LONGEST_NAME:].decode(errors="ignore").lstrip(".") or "download"
