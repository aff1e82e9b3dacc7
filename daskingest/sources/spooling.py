"""The spool folder: where what can be read only once, or from its beginning, is copied to first."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from daskingest.errors import DaskingestError
from daskingest.files import durable_rename, state_folder
from daskingest.progress import Progress
from daskingest.sources.streams import reading
from daskingest.text import size_text

_BLOCK = 1 << 20
_PART = ".part"
_STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def is_standard_input(path: str) -> bool:
    """Whether a path is one of the names of standard input."""
    return path in _STANDARD_INPUT


def spool(path: str, progress: Progress) -> Path:
    """Copy standard input, or what else can be read but once, to a file; returns its path.

    Raises DaskingestError if it cannot be read, or if there is no place or no room for it.
    """
    named = "standard input" if is_standard_input(path) else path
    folder = _folder(named)
    _sweep(folder)
    place = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    while place.exists():
        place = place.with_name(place.name + "-2")
    part = place.with_name(place.name + _PART)
    with reading(named), _opened(path) as source, part.open("wb") as out:
        fcntl.flock(out, fcntl.LOCK_EX)
        try:
            progress.start(None, f"copying {named} to {place}, to be able to resume", "")
            _copy(source, out, named, progress)
            durable_rename(part, place)
        finally:
            part.unlink(missing_ok=True)
    return place


def unlinked(
    source: BinaryIO, path: str, progress: Progress, reason: str = "to reach its members"
) -> BinaryIO:
    """The content of a stream in a file without a name, at its beginning; closes the stream.

    Raises as the stream does, and DaskingestError if there is no place or no room.
    """
    folder = _folder(path)
    with source:
        file = cast(BinaryIO, tempfile.TemporaryFile(dir=folder))  # noqa: SIM115
        try:
            progress.start(None, f"unpacking {path} into {folder}, {reason}", "")
            _copy(source, file, path, progress)
            file.seek(0)
        except BaseException:
            file.close()
            raise
    return file


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if is_standard_input(path):
        yield sys.stdin.buffer
        return
    with Path(path).open("rb") as stream:
        yield stream


def _copy(source: BinaryIO, out: BinaryIO, path: str, progress: Progress) -> None:
    done = 0
    while data := source.read(_BLOCK):
        try:
            out.write(data)
            out.flush()
        except OSError as error:
            raise _no_place(path, error) from None
        done += len(data)
        progress.show(done, partial(_status, done))


def _status(done: int, seconds: float) -> str:
    return size_text(done)


def _folder(path: str) -> Path:
    try:
        folder = state_folder("spool")
        folder.mkdir(0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise _no_place(path, error) from None
    return folder


def _no_place(path: str, error: Exception) -> DaskingestError:
    return DaskingestError(
        f"{path} must be copied to a file first, and cannot be: {error}; free some space, or name "
        "another folder in XDG_STATE_HOME"
    )


def _sweep(folder: Path) -> None:
    """Remove what a killed process had not copied to the end."""
    for each in folder.glob("*" + _PART):
        with suppress(OSError), each.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            each.unlink()
