"""A program and its processes, watched from outside: memory, CPU time, and how far a store is."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

_SECONDS = 1.0


@dataclass(slots=True)
class Seen:
    """What was seen of a process: its resident memory by seconds, and its CPU time in the end."""

    memory: list[tuple[float, int]] = field(default_factory=list)
    cpu: float = 0.0
    is_saver: bool = False


@dataclass(slots=True)
class Watched:
    """A program's run. Times are in seconds since it was started; the first process is its own.

    `batches` are those that the store had, `sizes` the bytes of its files, and `cpu` the seconds
    that all processes had taken by then.
    """

    processes: dict[int, Seen] = field(default_factory=dict)
    batches: list[tuple[float, int]] = field(default_factory=list)
    cpu: list[tuple[float, float]] = field(default_factory=list)
    sizes: list[tuple[float, int]] = field(default_factory=list)
    seconds: float = 0.0

    def rate(self, start: float, end: float) -> float:
        """Batches a second, from when this share of them was in the store to when that was."""
        return (end - start) * self._counted / (self.when(end) - self.when(start))

    def cost(self, start: float, end: float) -> float:
        """Seconds of CPU time a batch, likewise: what another's load changes little."""
        used = _at(self.cpu, self.when(end)) - _at(self.cpu, self.when(start))
        return used / ((end - start) * self._counted)

    def when(self, share: float) -> float:
        """When this share of what was seen to come was there, in seconds."""
        swapped = [(float(number), at) for at, number in self.batches]
        return _at(swapped, self.batches[0][1] + share * self._counted)

    @property
    def _counted(self) -> int:
        return self.batches[-1][1] - self.batches[0][1]


def _at(line: Sequence[tuple[float, float]], place: float) -> float:
    """What a line that only rises comes to at a place, straight between its points."""
    places, values = zip(*line, strict=True)
    return float(np.interp(place, places, values))


def watch(program: subprocess.Popen[bytes], store: Path) -> Watched:
    """Watch a program that counts into an SQLite store, until it ends.

    Batches are noted when there are more of them, so that the first and the last one count.
    """
    found = Watched()
    started = time.monotonic()
    own = psutil.Process(program.pid)
    while program.poll() is None:
        now = time.monotonic() - started
        with suppress(psutil.Error):
            for each in (own, *own.children(recursive=True)):
                with suppress(psutil.Error):
                    _look(each, found, now, store)
        number = _batches(store)
        if number and (not found.batches or number > found.batches[-1][1]):
            found.batches.append((now, number))
        found.cpu.append((now, sum(each.cpu for each in found.processes.values())))
        found.sizes.append((now, sum(file.stat().st_size for file in _files(store))))
        time.sleep(_SECONDS)
    found.seconds = time.monotonic() - started
    if len(found.batches) < 2:  # all in one commit: there is no first one to count from
        found.batches.insert(0, (0.0, 0))
    return found


def _look(process: psutil.Process, found: Watched, now: float, store: Path) -> None:
    seen = found.processes.setdefault(process.pid, Seen())
    seen.memory.append((now, process.memory_info().rss))
    used = process.cpu_times()
    seen.cpu = used.user + used.system
    if len(seen.memory) < 30 or len(seen.memory) % 10 == 5:  # it takes its time
        seen.is_saver |= any(Path(file.path) == store for file in process.open_files())


def _files(store: Path) -> list[Path]:
    """The store's own, its journal and its index."""
    paths = (store, store.with_name(f"{store.name}-wal"), store.with_name(f"{store.name}-shm"))
    return [path for path in paths if path.exists()]


def _batches(store: Path) -> int:
    """How many entries the store's ledger has; 0 as long as there is no store."""
    with suppress(sqlite3.Error):
        uri = f"{store.as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=0.1)) as db:
            [[number]] = db.execute("SELECT count(*) FROM ledger")
            return int(number)
    return 0
