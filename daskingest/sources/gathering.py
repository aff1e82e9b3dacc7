"""The files that a command is given: single ones, folders, patterns, archives, standard input."""

from __future__ import annotations

import glob
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from fsspec.core import url_to_fs

from daskingest.errors import DaskingestError, UsageError
from daskingest.progress import Progress
from daskingest.sources.containers import (
    Passed,
    Piece,
    Refused,
    is_document,
    is_hidden,
    is_named_as_data,
    pieces,
    shown,
)
from daskingest.sources.origin import Origin
from daskingest.sources.spooling import is_standard_input, spool
from daskingest.sources.streams import blocks_of, read_fully, reading
from daskingest.text import printable

T = TypeVar("T")


@dataclass(slots=True)
class Gathered(Generic[T]):
    """The files that were opened, in order, and what could not be.

    `spooled` are the files of the spool, each with the names of the files of articles that are in
    it; `copied` says what each is a copy of.
    """

    files: list[T] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    spooled: dict[Path, list[str]] = field(default_factory=dict)
    copied: dict[Path, str] = field(default_factory=dict)

    def drop_spooled(self, done: Collection[str], progress: Progress) -> None:
        """Remove what was spooled, if all files in it are done; else say how to go on."""
        for place, names in self.spooled.items():
            if {*done}.issuperset(names):
                place.unlink(missing_ok=True)
            else:
                progress.warn(f"to go on with {self.copied[place]}, give {place} instead")


def gather(paths: Sequence[str], opened: Callable[[Origin], T], progress: Progress) -> Gathered[T]:
    """Open the files at these paths, each once, however often it is named or copied.

    A path may be a file or a URL, an archive, a folder, a pattern, or "-" for standard input. What
    is passed over, left out or unusual is said. Raises DaskingestError if nothing is left.
    """
    if not paths:
        raise UsageError("no file: expected the path of a file of articles")
    gatherer = _Gatherer(opened, progress)
    for path in paths:
        gatherer.add(path)
    found, refused = gatherer.gathered, gatherer.gathered.refused
    if not found.files:
        found.drop_spooled((), progress)
    if len(refused) == 1 and not found.files:
        raise refused[0].error
    for each in refused:
        progress.warn(f"left out: {each.error}")
    if not found.files:
        raise UsageError(f"none of the {len(refused):,} files can be used")
    return found


class _Gatherer(Generic[T]):
    def __init__(self, opened: Callable[[Origin], T], progress: Progress) -> None:
        self.gathered: Gathered[T] = Gathered()
        self._opened = opened
        self._progress = progress
        self._paths: dict[str, str] = {}  # the names of files by their paths
        self._alike: dict[tuple[int, str], list[Origin]] = {}  # by size and head

    def add(self, path: str) -> None:
        """Add what is at a path."""
        passed: list[str] = []
        taken = False
        try:
            for piece, sure in self._pieces(path):
                match piece:
                    case Passed(name):
                        passed.append(name)
                    case Refused():
                        self.gathered.refused.append(piece)
                        taken = True
                    case Origin() if self._open(piece, sure):
                        taken = True
                    case Origin():
                        passed.append(piece.name)
            if not taken:
                raise UsageError(f"{path} has no file of articles in it: {shown(passed)}")
        except DaskingestError as error:
            self.gathered.refused.append(Refused(path, error))
            return
        for names in self.gathered.spooled.values():  # of what is passed over nothing is awaited
            names[:] = [each for each in names if each not in passed]
        if passed:
            self._progress.warn(
                f"{path}: passed over what holds no articles ({len(passed):,}): {shown(passed)}"
            )

    def _pieces(self, path: str) -> Iterator[tuple[Piece, bool]]:
        """What is at a path, and whether it is to be taken for articles whatever it looks like."""
        if is_standard_input(path) or _is_read_once(path):
            place = spool(path, self._progress)
            name = "standard input" if is_standard_input(path) else path
            self.gathered.spooled[place], self.gathered.copied[place] = [name], name
            found = pieces(str(place), name, self._progress)
            self.gathered.spooled[place] = [each.name for each in found if isinstance(each, Origin)]
        elif (inside := _inside(path)) is not None:
            yield from self._in_folder(inside)
            return
        else:
            found = pieces(path, path, self._progress)
        alone = len(found) == 1
        for each in found:
            yield each, alone or is_named_as_data(each.name.partition("::")[0])

    def _in_folder(self, inside: Iterable[_Inside]) -> Iterator[tuple[Piece, bool]]:
        for path, within in inside:
            if is_hidden(within) or is_document(path) or not _is_regular(path):
                yield Passed(printable(path)), False
                continue
            try:
                found = pieces(path, printable(path), self._progress)
            except UsageError as error:
                sure = is_named_as_data(path)
                yield (Refused(path, error) if sure else Passed(printable(path))), False
                continue
            except DaskingestError as error:
                yield Refused(path, error), False
                continue
            for each in found:
                yield each, is_named_as_data(each.name.partition("::")[0])

    def _open(self, origin: Origin, sure: bool) -> bool:
        """Open a file, unless it is there. Returns whether it is one of articles."""
        if (known := self._paths.get(origin.path)) is not None:
            self._progress.warn(f"{origin.name} is named twice, the other time {known}: taken once")
            return True
        opened = None
        try:
            opened = self._opened(origin)
            copied = self._copied(origin)
        except DaskingestError as error:
            if isinstance(error, UsageError) and not sure:
                return False
            self.gathered.refused.append(Refused(origin.name, error))
            return True
        finally:
            if origin.note and (sure or opened is not None):
                self._progress.warn(origin.note)
        self._paths[origin.path] = origin.name
        if copied is None:
            self.gathered.files.append(opened)
            return True
        self._progress.warn(f"{origin.name} is a copy of {copied.name}: left out")
        for names in self.gathered.spooled.values():
            names[:] = [each for each in names if each != origin.name]
        return True

    def _copied(self, origin: Origin) -> Origin | None:
        """The file that this one is a copy of, byte by byte."""
        alike = self._alike.setdefault((origin.size, origin.head()), [])
        found = next((each for each in alike if is_begun_by(each, origin)), None)
        if found is None:
            alike.append(origin)
        return found


def is_begun_by(longer: Origin, shorter: Origin) -> bool:
    """Whether a file begins with all of another's bytes, which are compared."""
    with ExitStack() as stack:
        for each in (longer, shorter):
            stack.enter_context(reading(each.path))
        one = stack.enter_context(longer.open_packed())
        other = stack.enter_context(shorter.open_packed())
        return all(read_fully(one, len(block)) == block for block in blocks_of(other, -1))


_Inside = tuple[str, str]
"""A file's path, and its path within the folder that it was found in."""


def _inside(path: str) -> list[_Inside] | None:
    """All files in a folder, or that fit a pattern, in order; None if it is neither.

    Raises UsageError where there are none.
    """
    try:
        found = _local(path) if "://" not in path and "::" not in path else _remote(path)
    except (ValueError, ImportError, OSError):
        return None  # it is told when it is opened
    if found is not None and not found:
        what = "a pattern that no file fits" if glob.has_magic(path) else "an empty folder"
        raise UsageError(f"{path} is {what}: expected files of articles")
    return found


def _local(path: str) -> list[_Inside] | None:
    place = Path(path)
    if place.is_dir():
        return list(_walk(place, place, set()))
    if not glob.has_magic(path) or place.exists():
        return None
    found: list[_Inside] = []
    for each in map(Path, sorted(glob.glob(path, recursive=True))):  # noqa: PTH207
        found += _walk(each, each, set()) if each.is_dir() else [(str(each), "")]
    return found


def _walk(folder: Path, top: Path, seen: set[tuple[int, int]]) -> Iterator[_Inside]:
    """The files in a folder and those in it, by name; each folder once, whatever links to it."""
    place = folder.stat()
    if (place.st_dev, place.st_ino) in seen:
        return
    seen.add((place.st_dev, place.st_ino))
    for each in sorted(folder.iterdir()):
        within = str(each.relative_to(top))
        if each.is_dir() and not is_hidden(within):
            yield from _walk(each, top, seen)
        else:
            yield str(each), within


def _remote(path: str) -> list[_Inside] | None:
    fs, inner = url_to_fs(path)
    if fs.isdir(inner):
        top = inner.rstrip("/") + "/"
        found = sorted(fs.find(inner))
        return [(fs.unstrip_protocol(each), each.removeprefix(top)) for each in found]
    if glob.has_magic(inner) and not fs.exists(inner):
        return [(fs.unstrip_protocol(each), "") for each in sorted(fs.glob(inner))]
    return None


def _is_regular(path: str) -> bool:
    return "://" in path or Path(path).is_file()


def _is_read_once(path: str) -> bool:
    """Whether a path is that of a pipe or a device: what was read of it is not there any more."""
    if "://" in path:
        return False
    if path.startswith(("/dev/fd/", "/proc/self/fd/")):
        return True  # another process's is another file
    with suppress(OSError, ValueError):
        mode = Path(path).stat().st_mode
        return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
    return False
