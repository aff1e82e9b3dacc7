"""Files that a crash does not harm: written whole or not at all, added to line by line, locked."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO


def write_atomically(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a file, replacing what is there: durably, and whole or not at all.

    `mode` is who may read and write it, without what the process's umask forbids. Raises OSError,
    and leaves what was there.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        new.touch(mode, exist_ok=False)
        new.write_bytes(content.encode() if isinstance(content, str) else content)
        durable_rename(new, path)
    finally:
        new.unlink(missing_ok=True)


def durable_rename(complete: Path, path: Path) -> None:
    """Give a complete file its name in the same folder, so that it is there whole or not at all.

    Replaces what has that name. After a return both contents and name survive a loss of power.
    Raises OSError.
    """
    with complete.open("rb") as file:
        os.fsync(file.fileno())
    complete.replace(path)
    _sync_folder(path.parent)


def lock_file(path: Path) -> IO[str]:
    """A lock that one process has, on a file made if need be, until it is closed or it ends.

    Raises BlockingIOError if another has it, and OSError if it cannot be had at all.
    """
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        lock.close()
        raise
    return lock


class JsonLinesError(Exception):
    """A file of JSON lines cannot be read or written, or is another file. It says why."""


class JsonLines:
    """A file of JSON objects, one a line, that is only added to, and has each object once.

    The values of the fields `key` tell an object from the others; every object begins with the
    first of them. The file is made with its first line. A last line that a crash has cut off, or
    filled with NULs, is not there, and is removed before the next is added.

    To be used by one thread at a time. Raises JsonLinesError.
    """

    def __init__(self, path: Path, key: tuple[str, ...], ensure_ascii: bool = True) -> None:
        self.path = path
        self._key = key
        self._ensure_ascii = ensure_ascii
        self._begins = f'{{"{key[0]}": '.encode()
        self._known: set[tuple[object, ...]] = set()
        self._torn: int | None = None  # where a line begins that is not all there
        try:
            self._load()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JsonLinesError(str(error)) from error

    def add(self, entries: Iterable[Mapping[str, object]]) -> None:
        """Write those objects that are not there yet; they survive a loss of power.

        After an error none of them is there, and all may be given again.
        """
        new: dict[tuple[object, ...], str] = {}
        for entry in entries:
            key = self._key_of(entry)
            if key not in self._known and key not in new:
                new[key] = json.dumps(entry, ensure_ascii=self._ensure_ascii) + "\n"
        if not new:
            return
        try:
            self._append("".join(new.values()).encode())
        except OSError as error:
            raise JsonLinesError(str(error)) from error
        self._known.update(new)

    def _append(self, lines: bytes) -> None:
        with self.path.open("ab") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                file.write(lines)  # /dev/null keeps nothing
                return
            end = file.tell()
            if self._torn is not None:
                end = min(end, self._torn)
                file.truncate(end)
            self._torn = end  # until all is there
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        if end == 0:
            _sync_folder(self.path.parent)
        self._torn = None

    def _load(self) -> None:
        """Take in the keys of what is there. Raises ValueError and others if it is another file."""
        if not self.path.exists():
            return
        end = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n") or b"\0" in line:
                    if not self._is_ours(line, end):
                        raise ValueError(f"no line of JSON at byte {end}")
                    self._torn = end
                    break
                self._known.add(self._key_of(json.loads(line)))
                end += len(line)

    def _is_ours(self, torn: bytes, end: int) -> bool:
        """Whether a line that is not whole, after `end` bytes that are, is one of ours.

        A file that somebody named by mistake must not be cut.
        """
        text = torn.partition(b"\0")[0]
        if not text:
            return end > 0 or not torn.strip(b"\0")
        return self._begins.startswith(text[: len(self._begins)])

    def _key_of(self, entry: Mapping[str, object]) -> tuple[object, ...]:
        return tuple(entry[name] for name in self._key)


def _sync_folder(folder: Path) -> None:
    """Make the names of a folder's files durable, as far as its file system can."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what some network file systems answer
            raise
    finally:
        os.close(opened)
