"""Files that survive a crash: written completely or not at all, appended to by line, locked."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO


def write_atomically(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a file, replacing any file of that name: durably, and completely or not at all.

    `mode` has its permissions, less those that the process's umask forbids. Raises OSError, and
    then leaves the previous file.
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
    """Rename a complete file within its folder, so that it appears completely or not at all.

    Replaces any file of that name. After the return, contents and name survive a power cut. Raises
    OSError.
    """
    with complete.open("rb") as file:
        os.fsync(file.fileno())
    complete.replace(path)
    _sync_folder(path.parent)


def lock_file(path: Path) -> IO[str]:
    """A lock that this process holds until it closes the file or ends. Creates the file if needed.

    Raises BlockingIOError if another process holds it, and OSError if it cannot be locked at all.
    """
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        lock.close()
        raise
    return lock


class JsonLinesError(Exception):
    """A file of JSON lines cannot be read or written, or is something else. It says why."""


class JsonLines:
    """A file of JSON objects, one per line, that is only appended to and has each object once.

    The values of the fields `key` identify an object; every object begins with the first of them.
    The file is created with its first line. A last line that a crash has cut off, or filled with
    NULs, does not count, and is removed before the next line is appended.

    To be used by one thread at a time. Raises JsonLinesError.
    """

    def __init__(self, path: Path, key: tuple[str, ...], ensure_ascii: bool = True) -> None:
        self.path = path
        self._key = key
        self._ensure_ascii = ensure_ascii
        self._begins = f'{{"{key[0]}": '.encode()
        self._known: set[tuple[object, ...]] = set()
        self._torn: int | None = None  # where an incomplete line begins
        try:
            self._load()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JsonLinesError(str(error)) from error

    def add(self, entries: Iterable[Mapping[str, object]]) -> None:
        """Write the objects that the file does not have yet; they survive a power cut.

        After an error none of them is in the file, and all may be added again.
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
            end = file.tell()
            if self._torn is not None:
                end = min(end, self._torn)
                file.truncate(end)
            self._torn = end  # until the lines are complete
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        if end == 0:
            _sync_folder(self.path.parent)
        self._torn = None

    def _load(self) -> None:
        """Read the objects' keys. Raises ValueError and others if it is another kind of file."""
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
        """Whether an incomplete line, after `end` bytes of complete ones, is one of ours.

        A file that the user named by mistake must not be truncated.
        """
        text = torn.partition(b"\0")[0]
        if not text:
            return end > 0 or not torn.strip(b"\0")
        return self._begins.startswith(text[: len(self._begins)])

    def _key_of(self, entry: Mapping[str, object]) -> tuple[object, ...]:
        return tuple(entry[name] for name in self._key)


def _sync_folder(folder: Path) -> None:
    """Make the names of a folder's files durable, as far as the file system can."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems can't
            raise
    finally:
        os.close(opened)
