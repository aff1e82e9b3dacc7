"""What makes the program's files and clock fail: `shim.c`, compiled, and the numbers it obeys."""

from __future__ import annotations

import errno
import functools
import mmap
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")

_CLOCK, _SHADOW, _COUNTDOWN, _PLACE, _OPERATION, _WHEN, _DEATHS, _FAILURES, _ERRORS = range(9)
_WRITE, _SYNC = 1, 2
WHEN = ("before", "half", "after")
"""When to die, of an operation: before it, in the middle, after it and before anything else."""


@functools.cache
def compiled() -> Path | None:
    """The library, made once by this process; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = Path(tempfile.mkdtemp(prefix="chaos-shim-")) / "shim.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


class Shim:
    """The faults of files in some folders, `places`, and of the clock, for a family of programs.

    Its own files are in `folder`, which is made, and `shadow` has what was fsynced.
    """

    def __init__(self, folder: Path, places: Sequence[Path]) -> None:
        self.places = list(places)
        self.shadow = folder / "shadow"
        self.shadow.mkdir(parents=True)
        self._file = folder / "control"
        self._file.write_bytes(bytes(mmap.PAGESIZE))
        with self._file.open("r+b") as file:
            self._numbers = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._set(_SHADOW, 1)

    @property
    def environment(self) -> dict[str, str]:
        """What the programs are to be started with; empty where there is no compiler."""
        library = compiled()
        if library is None:
            return {}
        return {
            "LD_PRELOAD": str(library),
            "CHAOS_CONTROL": str(self._file),
            "CHAOS_PLACES": os.pathsep.join(map(str, self.places)),
            "CHAOS_SHADOW": str(self.shadow),
        }

    @property
    def deaths(self) -> int:
        """How many processes have died at an operation."""
        return self._get(_DEATHS)

    @property
    def failures(self) -> int:
        """How many operations have failed."""
        return self._get(_FAILURES)

    def move_clock(self, seconds: float) -> None:
        """The clock on the wall is so much later than the machine's."""
        self._set(_CLOCK, round(seconds * 1e9))

    def fill_disk(self, place: int) -> None:
        """Files there grow no more."""
        self._set(_ERRORS + 2 * place, errno.ENOSPC)

    def break_writes(self, place: int) -> None:
        """Writes there fail, as on a disk that goes."""
        self._set(_ERRORS + 2 * place, errno.EIO)

    def break_syncs(self, place: int) -> None:
        """An fsync there fails."""
        self._set(_ERRORS + 2 * place + 1, errno.EIO)

    def mend(self, place: int) -> None:
        """Nothing fails there any more."""
        self._set(_ERRORS + 2 * place, 0)
        self._set(_ERRORS + 2 * place + 1, 0)

    def die_at(self, place: int, sync: bool, number: int, when: str) -> None:
        """The process that does this write or fsync there, counted from now on, dies at it."""
        self._set(_PLACE, place)
        self._set(_OPERATION, _SYNC if sync else _WRITE)
        self._set(_WHEN, WHEN.index(when))
        self._set(_COUNTDOWN, number)

    def lift(self) -> None:
        """Nothing fails any more, and the clock is right."""
        self._set(_COUNTDOWN, 0)
        self._set(_CLOCK, 0)
        for place in range(len(self.places)):
            self.mend(place)

    def close(self) -> None:
        """The programs have ended."""
        self._numbers.close()

    def _get(self, index: int) -> int:
        [found] = struct.unpack_from("q", self._numbers, 8 * index)
        return int(found)

    def _set(self, index: int, value: int) -> None:
        struct.pack_into("q", self._numbers, 8 * index, value)
