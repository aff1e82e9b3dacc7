"""What a counter costs a store as it grows: commits as a saver makes them, of a growing vocabulary.

    python -m daskingest.benchmarks.growth --rows 8000000 --memory 4
    python -m daskingest.benchmarks.growth --rows 8000000 --store postgresql://USER@HOST/EMPTY

Prints a line for each commit. Rows are different (publication, word) pairs. The CPU time is that of
this process: of a store in PostgreSQL, the server's is what the time has besides. A commit has what
arrives until a saver makes it, which gathers more where commits take long: of 17 batches a second,
which is 8 GB in eight minutes on sixteen workers, or of `--rate`. With `--flush` all commits have
as many batches.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import psutil

from daskingest.benchmarks.counters import PUBLICATIONS, Drawn, Stream, counts_of
from daskingest.benchmarks.memory import limited_memory
from daskingest.ledger import BatchId, Counted
from daskingest.packed import merged
from daskingest.pipeline.dask_settings import GC_THRESHOLD, saver_memory
from daskingest.pipeline.pending import most_pending, rest_after
from daskingest.pipeline.places import Places
from daskingest.resources import free_memory
from daskingest.sample.names import Whole
from daskingest.settings import Settings
from daskingest.stores import Store, open_store
from daskingest.tally import Tally

ROWS, FLUSH, RATE = 8_000_000, 80, 17.0
"""How far the store grows; how many batches are merged for a commit into a small store, and how
many arrive in a second."""

_WORKERS = 16  # whose driver has a saver commit when it has half of all that may be open
_BATCH = 200_000, 400_000  # bytes that a batch and its part of the sums take, also with months

_FIRST = 30  # batches in the first commit: some 100,000 rows
_TOGETHER = 3  # commits that are compared: the median of so many
_RUN = "benchmark"


@dataclass(frozen=True, slots=True)
class Flush:
    """What is committed together. `rows` is what the store has then."""

    batches: int
    drawn: Drawn
    rows: int


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. `cpu` and `wall` are microseconds for each counter, `rows` the store's after it,
    `size` its bytes, and `memory` those that this process has then."""

    rows: int
    batches: int
    counters: int
    cpu: float
    wall: float
    size: int
    memory: int

    @property
    def seconds(self) -> float:
        """That it took."""
        return self.wall * self.counters / 1e6

    def __str__(self) -> str:
        return (
            f"{self.rows:11,} rows  {self.batches:5,} batches  {self.counters:9,} counters  "
            f"{self.cpu:6.2f} µs CPU  "
            f"{self.wall:6.2f} µs  {self.size / 2**20:7,.0f} MiB"
        )


class Gathering:
    """How many batches a saver has for its next commit, of which so many arrive in a second."""

    def __init__(self, rate: float = RATE, dated: bool = False) -> None:
        self._rate = rate
        free = free_memory()
        fit = most_pending(free, saver_memory(free)) // _BATCH[dated]
        self._most = min(fit, Places([str(each) for each in range(_WORKERS)]).most_open()) // 2
        self._gather(0.0)

    def seen(self, commit: Commit) -> None:
        """The commit before it was this one."""
        self._gather(commit.seconds)

    def _gather(self, seconds: float) -> None:
        passed = max(Settings().flush_interval, seconds + rest_after(seconds))
        self.batches = min(int(self._rate * passed), self._most)


def flushes(
    rows: int = ROWS,
    flush: int | Gathering = FLUSH,
    seed: int = 1,
    dated: bool = False,
    publications: int = PUBLICATIONS,
) -> Iterator[Flush]:
    """What makes a store grow to so many rows; the first one is small."""
    stream, known = Stream(seed, publications, dated), np.empty(0, np.int64)
    while len(known) < rows:
        batches = flush if isinstance(flush, int) else flush.batches
        batches = batches if len(known) else min(_FIRST, batches)
        drawn = stream.draw(batches)
        known = _united(known, drawn.words)
        yield Flush(batches, drawn, len(known))


def _united(known: Whole, words: Whole) -> Whole:
    """Both, sorted as they are."""
    places = np.searchsorted(known, words)
    inside = places < len(known)
    inside[inside] = known[places[inside]] == words[inside]
    return np.insert(known, places[~inside], words[~inside])


Seen = Callable[[Commit], object]


def measure(path: Path, several: Iterable[Flush], seen: Seen = lambda commit: None) -> list[Commit]:
    """Commit them to a new store in a file; `seen` is called with each commit."""
    url = f"sqlite:///{path.absolute()}"
    return measure_at(url, several, seen, lambda: path.stat().st_size)


def measure_alone(path: Path, rows: int) -> list[Commit]:
    """Let a store in a new file grow to so many rows, in a process of its own: it has no memory but
    what that takes."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as alone:
        return alone.submit(_grow, path, rows).result()


def _grow(path: Path, rows: int) -> list[Commit]:
    gc.set_threshold(GC_THRESHOLD)
    gathering = Gathering()
    return measure(path, flushes(rows, gathering), gathering.seen)


def measure_at(
    url: str,
    several: Iterable[Flush],
    seen: Seen,
    size: Callable[[], int] = lambda: 0,
) -> list[Commit]:
    """Commit them to a new store at a URL."""
    commits = []
    with open_store(url, create=True) as store:
        for number, each in enumerate(several):
            commits.append(_commit(store, number, each, size))
            seen(commits[-1])
    return commits


def _commit(store: Store, number: int, flush: Flush, size: Callable[[], int]) -> Commit:
    counts = merged([counts_of(flush.drawn)])  # as a saver merges them, beside the commit before
    articles = int(flush.drawn.articles.sum()) // flush.batches
    tally = Tally(rows=articles, articles=articles)
    ids = [BatchId(_RUN, f"{number}-{i}") for i in range(flush.batches)]
    holds = [store.take_over(_RUN, "benchmark")]
    wall, cpu = time.perf_counter(), time.process_time()
    store.commit(counts, {each: Counted(tally) for each in ids}, holds)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    each = 1e6 / counts.size
    memory = psutil.Process().memory_info().rss
    return Commit(flush.rows, flush.batches, counts.size, cpu * each, wall * each, size(), memory)


def commit_growth(
    folder: Path, commits: Sequence[Commit], flush: int | None = None, dated: bool = False
) -> float:
    """What a counter's CPU time is in the last of these commits, divided by what it is in the one
    that finds 100,000 rows, of which there are several here, into new stores in a folder."""
    first = []
    for seed in range(_TOGETHER):
        several = islice(flushes(ROWS, flush or FLUSH, seed, dated), 2)
        first += measure(folder / f"small-{seed}.db", several)[1:]
    return _cost(commits[-_TOGETHER:]) / _cost(first)


def _cost(commits: Sequence[Commit]) -> float:
    return statistics.median(each.cpu for each in commits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=ROWS, help="grow to so many")
    parser.add_argument("--flush", type=int, help="batches in a commit")
    parser.add_argument("--rate", type=float, default=RATE, help="batches a second, without it")
    parser.add_argument("--dated", action="store_true", help="with counts by month")
    parser.add_argument("--publications", type=int, default=PUBLICATIONS)
    parser.add_argument("--memory", type=float, help="GiB to do with, page cache included")
    parser.add_argument("--store", help="a file to keep, or the URL of an empty store")
    options = parser.parse_args()
    limit = int(options.memory * 2**30) if options.memory else None
    gc.set_threshold(GC_THRESHOLD)

    def show(commit: Commit) -> None:
        print(commit, flush=True)
        gathering.seen(commit)

    with tempfile.TemporaryDirectory() as folder, limited_memory(limit) as said:
        print(said)
        gathering = Gathering(options.rate, options.dated)
        flush, dated = options.flush or gathering, options.dated
        several = flushes(options.rows, flush, dated=dated, publications=options.publications)
        if "://" in (store := options.store or f"{folder}/growth.db"):
            commits, growth = measure_at(store, several, show), ""
        else:
            commits = measure(Path(store), several, show)
            ratio = commit_growth(Path(folder), commits, options.flush, dated)
            growth = f"\ncommit_growth {ratio:.2f}"
    whole = sum(each.counters for each in commits)
    cpu = sum(each.cpu * each.counters for each in commits) / whole
    wall = sum(each.wall * each.counters for each in commits) / whole
    print(f"{whole:,} counters: {cpu:.2f} µs CPU, {wall:.2f} µs each{growth}")


if __name__ == "__main__":
    main()
