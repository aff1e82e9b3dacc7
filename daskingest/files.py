"""Files that survive a crash: written completely or not at all, appended to by line, locked."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from daskingest.errors import UsageError

NO_HOME = Path(os.devnull)
"""What HOME names for libraries when there is no home: a place where nothing can be made."""


def write_atomically(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a file, replacing any file of that name: durably, and completely or not at all.

    `mode` has its permissions, less those that the process's umask forbids. Raises OSError, and
    then leaves the previous file.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        new.touch(mode, exist_ok=False)
        new.write_bytes(
            content.encode(errors="surrogateescape") if isinstance(content, str) else content
        )
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


@contextmanager
def completed(path: Path) -> Iterator[Path]:
    """A path to write a file at, which has its own name, `path`, when all is written, and not else.

    Raises UsageError if it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        durable_rename(part, path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def unwritable(path: Path) -> str:
    """Why a file cannot be appended to, or made; empty if it can be. Nothing is written or made."""
    try:
        if path.is_file():
            path.open("ab").close()
        elif not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
            if os.statvfs(path.absolute().parent).f_flag & os.ST_RDONLY:
                return os.strerror(errno.EROFS)
            return os.strerror(errno.EACCES)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def state_folder(kind: str) -> Path:
    """The folder for one kind of what is kept for the user between commands; it may not exist yet.

    Raises RuntimeError if the user has no home.
    """
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state) / "daskingest" / kind
    try:
        home = Path.home()
    except RuntimeError:
        home = NO_HOME
    if home == NO_HOME:
        raise RuntimeError(
            "you have no home folder, as HOME is not set and the system knows none; set HOME or "
            "XDG_STATE_HOME to a folder that you can write to"
        )
    return home / ".local" / "state" / "daskingest" / kind


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


Name = tuple[object, ...]


class JsonLinesError(Exception):
    """A file of JSON lines cannot be read or written, or is something else. It says why."""


class JsonLines:
    """A file of JSON objects, one per line, that is only appended to and has each object once.

    The values of the fields `key` tell an object from the others, or what `names` gives: the names
    that an object may be known by, its own first. Every object begins with the first field of
    `key`. The file is made with its first line. A last line that a crash has cut off, or filled
    with NULs, is not there, and is removed before the next is added.

    Several processes may add to one file: none tears another's line, or repeats it. Each is to use
    it by one thread at a time. Raises JsonLinesError.
    """

    def __init__(
        self,
        path: Path,
        key: tuple[str, ...],
        ensure_ascii: bool = True,
        names: Callable[[Mapping[str, object]], list[Name]] | None = None,
    ) -> None:
        self.path = path
        self._names = names or (lambda entry: [tuple(entry[name] for name in key)])
        self._ensure_ascii = ensure_ascii
        self._begins = f'{{"{key[0]}": '.encode()
        self._known: set[Name] = set()
        self._end = 0  # of the lines that were taken in
        self._inode = 0
        with _as_ours():
            if path.exists():
                with path.open("rb") as file:
                    self._take_in(file)

    def add(self, entries: Iterable[Mapping[str, object]]) -> None:
        """Write the objects that the file does not have yet; they survive a power cut.

        After an error none of them is in the file, and all may be added again.
        """
        new = [entry for entry in entries if not self._knows(entry)]
        if not new:
            return
        with _as_ours(), self.path.open("a+b") as file, _locked(file):
            self._take_in(file)
            lines: dict[Name, str] = {}
            for entry in new:  # others may have added some meanwhile
                names = self._names(entry)
                if not self._knows(entry) and names[0] not in lines:
                    lines[names[0]] = json.dumps(entry, ensure_ascii=self._ensure_ascii) + "\n"
            self._append(file, "".join(lines.values()).encode())
            self._known.update(lines)

    def _knows(self, entry: Mapping[str, object]) -> bool:
        return not self._known.isdisjoint(self._names(entry))

    def _append(self, file: BinaryIO, lines: bytes) -> None:
        regular = _is_regular(file)  # a device keeps nothing
        try:
            if regular:
                os.ftruncate(file.fileno(), self._end)
            written = 0
            while written < len(lines):
                written += os.write(file.fileno(), lines[written:])
            if regular:
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                os.ftruncate(file.fileno(), self._end)
            raise
        if self._end == 0:
            _sync_folder(self.path.parent)
        self._end += len(lines)

    def _take_in(self, file: BinaryIO) -> None:
        """Know the lines that are there by now. Raises ValueError and others if it is another file.

        A line that is not whole is left; it may be on its way.
        """
        if not _is_regular(file):
            return
        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or status.st_size < self._end:
            self._known.clear()
            self._end, self._inode = 0, status.st_ino
        file.seek(self._end)
        for line in file:
            if not line.endswith(b"\n") or b"\0" in line:
                if not self._is_ours(line, self._end):
                    raise ValueError(f"no line of JSON at byte {self._end}")
                return
            self._known.add(self._names(json.loads(line))[0])
            self._end += len(line)

    def _is_ours(self, torn: bytes, end: int) -> bool:
        """Whether an incomplete line, after `end` bytes of complete ones, is one of ours.

        A file that the user named by mistake must not be truncated.
        """
        text = torn.partition(b"\0")[0]
        if not text:
            return end > 0 or not torn.strip(b"\0")
        return self._begins.startswith(text[: len(self._begins)])


def _is_regular(file: BinaryIO) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JsonLinesError(str(error)) from error


@contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    """A file to oneself, among those who ask for it so, as far as its file system can."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    yield  # closing the file gives it free


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
