"""What savers take: batches with the counters of real news, from workers of a real cluster.

    python -m daskingest.benchmarks.saving --rate 80 --seconds 600

Tasks draw batches (see `counters`) and hand them over as those of run-csv do. With a rate they keep
to a schedule, and what matters is whether they can: how far behind it they get, and how long the
savers let them wait. To draw a batch takes longer than to save it: with `--drawn FOLDER` all are
drawn before the first one is handed over, into files of 0.07 MB a batch, which are kept there and
used again the next time.

    python -m daskingest.benchmarks.saving --savers 4 --store postgresql://…

measures several, each of which has the publications of a shard, and another store, which must have
nothing of an earlier measurement.
"""

from __future__ import annotations

import argparse
import asyncio
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import dask
import psutil
from distributed import Client

from daskingest.benchmarks.counters import ARTICLES, Stream, shards_of
from daskingest.benchmarks.memory import limited_memory
from daskingest.ledger import BatchId, Counted
from daskingest.models import find_model
from daskingest.packed import CompressedCounts
from daskingest.pipeline.cluster import cluster
from daskingest.pipeline.dask_settings import EXTRACT, SAVER
from daskingest.pipeline.members import addresses
from daskingest.pipeline.saver_client import SaverClient, SaverRef
from daskingest.settings import Settings
from daskingest.shards import shard_run
from daskingest.tally import Tally

_RUN = "benchmark"
_PRELOAD = {"distributed.worker.preload": ["daskingest.benchmarks.recorded"]}
_FEEDERS = 2  # workers that hand over
_EVERY = 10.0  # seconds between two lines

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fed:
    """How a feeder fared: the most seconds that it was behind its schedule, and that a batch took
    to be handed over."""

    behind: float
    waited: float


@dataclass(frozen=True, slots=True)
class Saved:
    """How savers fared, in seconds: all of them, and those of CPU time that they took together."""

    batches: int
    seconds: float
    cpu: float
    fed: Fed
    size: int
    """Of the store, in bytes, if it is a file."""

    @property
    def rate(self) -> float:
        """Batches a second, until the last one was in the store."""
        return self.batches / self.seconds


@dataclass(frozen=True, slots=True)
class Place:
    """Where so many savers write to: the store at a URL, which may be a file that is new."""

    url: str
    path: Path | None = None
    savers: int = 1

    @classmethod
    def of(cls, path: Path, savers: int = 1) -> Place:
        """A new SQLite file."""
        return cls(f"sqlite:///{path.absolute()}", path, savers)

    @property
    def size(self) -> int:
        """Of the file, in bytes."""
        return self.path.stat().st_size if self.path is not None and self.path.exists() else 0


@dataclass(frozen=True, slots=True)
class Feeding:
    """How batches are handed over: so many, and `rate` a second; 0: as fast as they are taken.

    They may have counts by month, and be `drawn` before, into files in a folder.
    """

    batches: int
    rate: float = 0.0
    dated: bool = False
    drawn: Path | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """The task of a feeder: every `_FEEDERS`-th batch from `first` on."""

    feeding: Feeding
    savers: tuple[SaverRef, ...]
    first: int

    @property
    def numbers(self) -> range:
        """Of its batches."""
        return range(self.first, self.feeding.batches, _FEEDERS)

    def draw(self) -> None:
        """Draw all batches into a file, unless it is there."""
        if not (file := self._file).exists():
            unfinished = file.with_suffix(".part")
            with unfinished.open("wb") as out:
                for counts in self._batches():
                    pickle.dump(counts, out, pickle.HIGHEST_PROTOCOL)
            unfinished.rename(file)

    def __call__(self) -> Fed:
        """Hand them over, one after the other."""
        rate, behind, waited = self.feeding.rate, 0.0, 0.0
        entry = Counted(Tally(rows=ARTICLES, articles=ARTICLES))
        batches = self._read() if self.feeding.drawn else self._batches()
        started = time.monotonic()
        for number, counts in zip(self.numbers, batches, strict=True):
            if rate:
                early = number / rate - (time.monotonic() - started)
                time.sleep(max(early, 0))
                behind = max(behind, -early)
            begun = time.monotonic()
            for saver, run, mine in zip(self.savers, _runs(len(counts)), counts, strict=True):
                saver.add(BatchId(run, str(number)), mine, entry)
            waited = max(waited, time.monotonic() - begun)
        return Fed(behind, waited)

    @property
    def _file(self) -> Path:
        each = self.feeding
        name = f"{each.batches}{'-dated' * each.dated}-{len(self.savers)}-{self.first}.pickle"
        return (each.drawn or Path()) / name

    def _batches(self) -> Iterator[list[CompressedCounts]]:
        stream = Stream(self.first + 1, dated=self.feeding.dated)
        return (
            list(map(CompressedCounts.of, shards_of(stream.draw(), len(self.savers))))
            for _ in self.numbers
        )

    def _read(self) -> Iterator[list[CompressedCounts]]:
        with self._file.open("rb") as file:
            for _ in self.numbers:
                yield pickle.load(file)


async def save(
    place: Place, model: str, feeding: Feeding, seen: Callable[[str], object] = lambda line: None
) -> Saved:
    """Have as many savers as the place has write batches into it; `seen` is told how it goes."""
    with dask.config.set(_PRELOAD):
        async with cluster(None, _FEEDERS, model, savers=place.savers) as client:
            savers = await _start(place, client)
            refs = tuple(each.ref for each in savers)
            feeds = [Feed(feeding, refs, i) for i in range(_FEEDERS)]
            if feeding.drawn:
                seen("drawing the batches")
                await _on_workers(client, [each.draw for each in feeds])
            cpu, started = await _cpu(client), time.monotonic()
            telling = asyncio.create_task(_tell(savers, place, started, seen))
            fed = await _on_workers(client, feeds)
            await asyncio.gather(*(each.drain() for each in savers))
            seconds, used = time.monotonic() - started, await _cpu(client) - cpu
            telling.cancel()
            worst = Fed(max(each.behind for each in fed), max(each.waited for each in fed))
            for each in savers:
                each.release()
    return Saved(feeding.batches, seconds, used, worst, place.size)


async def _on_workers(client: Client, tasks: Sequence[Callable[[], T]]) -> list[T]:
    futures = [client.submit(each, resources={EXTRACT: 1}, pure=False) for each in tasks]
    return [await each for each in futures]


async def _start(place: Place, client: Client) -> list[SaverClient]:
    """A saver for each shard, each on a worker of its own."""
    savers, interval = [], Settings().flush_interval
    for run, worker in zip(_runs(place.savers), await addresses(client, SAVER), strict=True):
        saver = await SaverClient.start(
            client, 1, place.url, interval, "benchmark", place.savers, preferred=[worker]
        )
        await saver.take_over(run)
        savers.append(saver)
    return savers


def _runs(shards: int) -> list[str]:
    return [shard_run(_RUN, each) for each in range(shards)] if shards > 1 else [_RUN]


async def _tell(
    savers: list[SaverClient], place: Place, started: float, seen: Callable[[str], object]
) -> None:
    """As a driver does, hear what is committed."""
    committed = 0

    async def hear(saver: SaverClient) -> None:
        nonlocal committed
        while True:
            committed += len((await saver.report()).committed)

    async with asyncio.TaskGroup() as group:
        for each in savers:
            group.create_task(hear(each))
        while True:
            await asyncio.sleep(_EVERY)
            size, passed = place.size / 2**20, time.monotonic() - started
            whole = committed // len(savers)
            seen(f"{passed:6.0f} s  {whole:8,} batches committed  {size:7,.0f} MiB")


async def _cpu(client: Client) -> float:
    """The seconds of CPU time of the savers' processes."""
    used = await client.run(_used, workers=await addresses(client, SAVER))
    return float(sum(used.values()))


def _used() -> float:
    times = psutil.Process().cpu_times()
    return times.user + times.system


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batches", type=int, default=4_000, help="without a rate")
    parser.add_argument("--rate", type=float, default=0.0, help="batches a second")
    parser.add_argument("--seconds", type=float, default=600.0, help="with a rate")
    parser.add_argument("--dated", action="store_true", help="with counts by month")
    parser.add_argument("--drawn", type=Path, help="draw all batches before, into this folder")
    parser.add_argument("--savers", type=int, default=1, help="at the same time")
    parser.add_argument("--store", help="another store than a new SQLite file")
    parser.add_argument("--memory", type=float, help="GiB to do with, page cache included")
    options = parser.parse_args()
    batches = int(options.rate * options.seconds) or options.batches
    limit = int(options.memory * 2**30) if options.memory else None
    if drawn := options.drawn:
        drawn = drawn.absolute()
        drawn.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, limited_memory(limit) as said:
        print(said)
        place = Place.of(Path(folder) / "saver.db", options.savers)
        if options.store:
            place = Place(options.store, None, options.savers)
        feeding = Feeding(batches, options.rate, options.dated, drawn)
        show = partial(print, flush=True)
        saved = asyncio.run(save(place, find_model(), feeding, show))
    print(
        f"{saved.batches:,} batches in {saved.seconds:.1f} s: {saved.rate:.1f}/s; "
        f"{1000 * saved.cpu / saved.batches:.2f} ms of the savers' CPU time each; "
        f"at most {saved.fed.waited:.2f} s to hand one over"
        + (f", {saved.fed.behind:.2f} s behind the schedule" if options.rate else "")
    )


if __name__ == "__main__":
    main()
