"""The processor time of each part of a cluster for a batch, and how many workers that serves.

    python -m daskingest.benchmarks.ceilings [--postgresql URL]

Each part is measured by itself: the driver, and a scheduler in a process of its own, with batches
that are no work; savers with the counters of real news; and the cutting of a file. One core's worth
of a part's time is its ceiling, whatever else a machine with few cores does meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvloop

from daskingest.benchmarks.driver import drive
from daskingest.benchmarks.saving import Feeding, Place, save
from daskingest.benchmarks.splitter import repeated_sample
from daskingest.errors import UsageError
from daskingest.models import find_model
from daskingest.pipeline.connecting import survey
from daskingest.sources.csvfile import open_csv

_BATCHES_OF_A_WORKER = 0.65
"""A second, of 1 MiB, on a core with AVX-512; see `python -m daskingest bench`."""

_WORKERS = 2
_TASKS = 3_000
_SAVED = 600  # batches


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A part, and the seconds of processor time that it takes for a batch."""

    part: str
    seconds: float

    def line(self, of_a_worker: float) -> str:
        """A line of the table, for workers that extract so many batches a second."""
        rate = 1 / self.seconds
        workers = f"{rate / of_a_worker:9,.0f}"
        return f"{self.part:32}{1000 * self.seconds:9.2f} ms {rate:9,.0f}/s {workers} workers"


def scheduling() -> Iterator[Ceiling]:
    """The driver and the scheduler, each a process."""
    with tempfile.TemporaryDirectory() as folder, _cluster(Path(folder)) as (address, scheduler):
        before = _used(psutil.Process()), _used(scheduler)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            started = time.perf_counter()
            runner.run(drive(None, _TASKS, address))
            seconds = time.perf_counter() - started
        yield Ceiling("driver", (_used(psutil.Process()) - before[0]) / _TASKS)
        yield Ceiling("scheduler", (_used(scheduler) - before[1]) / _TASKS)
        print(f"  ({_TASKS / seconds:,.0f} tasks/s with {_WORKERS} workers on this machine)")


def saving(url: str | None, savers: int) -> Iterator[Ceiling]:
    """Savers of one store, each with its part of every batch: the time of the busiest, evenly."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        place = Place(url, None, savers) if url else Place(f"sqlite:///{path}", path, savers)
        saved = asyncio.run(save(place, find_model(), Feeding(_SAVED, dated=True)))
        kind = place.url.partition(":")[0]
        name = f"{savers} savers, {kind}" if savers > 1 else f"saver, {kind}"
        yield Ceiling(name, saved.cpu / saved.batches / savers)
        print(f"  ({saved.rate:,.1f} batches/s on this machine, {name})")


def cutting() -> Iterator[Ceiling]:
    """The cutting of a file, with checksums."""
    with tempfile.TemporaryDirectory() as folder:
        file = repeated_sample(Path(folder))
        started = time.process_time()
        deque(open_csv(str(file)).ranges(), maxlen=0)
        yield Ceiling("splitter", (time.process_time() - started) / (file.stat().st_size / 2**20))


@contextmanager
def _cluster(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Its address, and the process of its scheduler."""
    with ExitStack() as stack:
        options = ["--port", "18786", "--dashboard-address", "127.0.0.1:0"]
        scheduler = stack.enter_context(_daskingest(folder, "scheduler", *options))
        address = "tcp://127.0.0.1:18786"
        stack.enter_context(_daskingest(folder, "worker", address, "--workers", str(_WORKERS)))
        stack.enter_context(_daskingest(folder, "worker", address, "--for", "saver"))
        while not _is_complete(address):
            time.sleep(1)
        yield address, scheduler


@contextmanager
def _daskingest(folder: Path, *arguments: str) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "daskingest", *arguments, "--log-level", "error"]
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _is_complete(address: str) -> bool:
    try:
        return asyncio.run(survey(address, find_model())).extract == _WORKERS
    except UsageError:
        return False


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--postgresql", help="the URL of an empty store")
    parser.add_argument("--savers", type=int, default=4, help="several savers, to compare")
    parser.add_argument("--worker", type=float, default=_BATCHES_OF_A_WORKER, help="batches/s")
    options = parser.parse_args()
    found = [*scheduling(), *saving(None, 1), *saving(None, options.savers)]
    if options.postgresql:
        found += saving(options.postgresql, options.savers)
    found += cutting()
    for each in found:
        print(each.line(options.worker))


if __name__ == "__main__":
    main()
