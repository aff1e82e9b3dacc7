"""How run-csv's time and memory grow with its input and its workers, seen from outside."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daskingest.benchmarks.environment import last_line
from daskingest.benchmarks.watch import Watched, watch
from daskingest.errors import DaskingestError

SIZES = (1 / 16, 1 / 4, 1)
"""The inputs, as shares of the largest one, which is 16 times the smallest."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `seconds` are without start-up; `memory` is the most that its processes had together
    at one time, in bytes, where what they share counts in each."""

    size: int
    workers: int
    seconds: float
    memory: int

    def as_json(self) -> dict[str, float]:
        """A row of a table."""
        return {
            "bytes": self.size,
            "workers": self.workers,
            "seconds": round(self.seconds, 2),
            "bytes_per_second": round(self.size / self.seconds),
            "memory": self.memory,
        }


def run(file: Path, model: str, workers: int, folder: Path) -> Run:
    """Count a file into a new store. Raises DaskingestError if that fails."""
    store, log = folder.absolute() / "scaling.db", folder / "scaling.log"
    for each in (log, *folder.glob("scaling.db*")):
        each.unlink(missing_ok=True)
    command = [sys.executable, "-m", "daskingest", "run-csv", str(file.absolute())]
    command += ["--store", f"sqlite:///{store}", "--model", model, "--workers", str(workers)]
    command += ["--rejects", str(folder / "rejects.jsonl"), "--no-progress"]
    command += ["--log-file", str(log), "--log-format", "json", "--log-level", "info"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as program:
        watched = watch(program, store)
        said = program.stderr.read().decode(errors="replace") if program.stderr else ""
    if program.returncode:
        raise DaskingestError(f"run-csv failed: {last_line(said)}")
    return Run(file.stat().st_size, workers, _seconds(log), _most_memory(watched))


def typical(runs: Sequence[Run]) -> Run:
    """The median of several alike."""
    first = runs[0]
    seconds = statistics.median(each.seconds for each in runs)
    memory = statistics.median_low([each.memory for each in runs])
    return Run(first.size, first.workers, seconds, memory)


def worker_numbers(cores: int) -> list[int]:
    """1, 2, 4, …, and all cores."""
    return sorted({*(1 << n for n in range(cores.bit_length()) if 1 << n <= cores), cores})


def _seconds(log: Path) -> float:
    """What run-csv says that it took, without start-up."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    found = [float(each["seconds"]) for each in lines if "seconds" in each]
    if not found:
        raise DaskingestError("run-csv's log does not say how long it took")
    return found[-1]


def _most_memory(watched: Watched) -> int:
    sums: Counter[float] = Counter()
    for process in watched.processes.values():
        for at, size in process.memory:
            sums[at] += size
    return max(sums.values(), default=0)
