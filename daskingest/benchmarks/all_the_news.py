"""A file as large as All-the-News through run-csv, without its model: what everything else does.

    python -m daskingest.benchmarks.all_the_news --size 8e9 --folder FOLDER

Writes made-up articles of 27 publications, in which new names keep coming as in real news, counts
them with `daskingest run-csv`, whose workers find the names by their marks, and compares what the
store has with what was written. Leaves a chart in the folder, `all-the-news.svg`, and prints what
it came to. The file is kept, and used again the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from dask.system import CPU_COUNT
from rich.console import Console

from daskingest.benchmarks.chart import Panel, svg
from daskingest.benchmarks.counters import PUBLICATIONS
from daskingest.benchmarks.memory import limited_memory
from daskingest.benchmarks.planted import Planted, plant
from daskingest.benchmarks.recorded import PRELOAD
from daskingest.benchmarks.watch import Seen, Watched, watch
from daskingest.stores import open_store
from daskingest.text import size_text

_GIB, _MIB = 2**30, 2**20
_IDLE = 0.1  # of the busiest process' CPU time: one with less is not told of


def count(file: Path, folder: Path, workers: int) -> tuple[Watched, Path]:
    """Count the file into a new store in the folder, watched. Returns the store's file, too."""
    store = (folder / "all-the-news.db").absolute()
    for each in folder.glob("all-the-news.db*"):
        each.unlink()
    command = [sys.executable, "-m", "daskingest", "run-csv", str(file.absolute())]
    command += ["--store", f"sqlite:///{store}", "--workers", str(workers)]
    command += ["--rejects", str(folder / "rejects.jsonl")]
    environment = {**os.environ, **PRELOAD}
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=sys.stderr) as program:
        watched = watch(program, store)
    if program.returncode:
        raise SystemExit(f"run-csv ended with {program.returncode}")
    return watched, store


def report(watched: Watched, planted: Planted, store: Path, differs: str) -> dict[str, Any]:
    """What the run came to."""
    rate = watched.rate(0, 1)
    return {
        "bytes": planted.size,
        "articles": int(planted.articles.sum()),
        "counters": planted.words,
        "mentions": int(planted.counts.sum()),
        "exact": not differs,
        "seconds": round(watched.seconds, 1),
        "batches": watched.batches[-1][1],
        "batches_per_second": round(rate, 1),
        "last_tenth_vs_first": round(watched.rate(0.9, 1) / watched.rate(0, 0.1), 3),
        "last_tenth_vs_first_by_cpu": round(watched.cost(0, 0.1) / watched.cost(0.9, 1), 3),
        "store_bytes": store.stat().st_size,
        "cpu_seconds": {name: round(each.cpu, 1) for name, each in _named(watched).items()},
        "most_memory_mib": {
            name: round(max(size for _, size in each.memory) / _MIB)
            for name, each in _named(watched).items()
        },
    }


def _named(watched: Watched) -> dict[str, Seen]:
    """The processes that matter, by what they do."""
    driver, *others = watched.processes.values()
    named = {"driver and scheduler": driver}
    least = _IDLE * max(each.cpu for each in others)
    for each in others:
        if each.is_saver:
            named["saver"] = each
        elif each.cpu >= least:
            named[f"worker {1 + sum(name.startswith('worker') for name in named)}"] = each
    return named


def chart(watched: Watched, title: str) -> str:
    """The run over time, as SVG: rate, memory of each process, size of the store."""
    steps = 40
    when = [watched.when(i / steps) for i in range(steps + 1)]
    rates = [(when[i], watched.rate((i - 1) / steps, i / steps)) for i in range(1, steps + 1)]
    memory = {
        name: [(t, size / _GIB) for t, size in each.memory]
        for name, each in _named(watched).items()
    }
    sizes = [(t, size / _GIB) for t, size in watched.sizes]
    return svg(
        title,
        "s",
        [
            Panel("batches of 1 MiB a second", {"in the store": rates}),
            Panel("resident memory, GiB", memory),
            Panel("size of the store with its journal, GiB", {"store": sizes}),
        ],
    )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=float, default=8e9, help="bytes of the file")
    parser.add_argument("--folder", type=Path, required=True, help="for all files; they are kept")
    parser.add_argument("--workers", type=int, default=CPU_COUNT, help="extraction workers")
    parser.add_argument("--memory", type=float, help="GiB to do with, page cache included")
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    size, console = int(options.size), Console(stderr=True)
    file = folder / f"made-up-{size}.csv"
    with console.status("writing the file") as status:
        planted = plant(
            file, size, PUBLICATIONS, CPU_COUNT, lambda done: status.update(size_text(done))
        )
    limit = int(options.memory * _GIB) if options.memory else None
    with limited_memory(limit) as said:
        console.print(said)
        watched, store = count(file, folder, options.workers)
    with open_store(f"sqlite:///{store}") as counted:
        differs = planted.differs(counted)
    if differs:
        console.print(differs[:1_000])
    title = f"{size_text(planted.size)} of made-up articles through run-csv, without its model"
    (folder / "all-the-news.svg").write_text(chart(watched, title))
    print(json.dumps(report(watched, planted, store, differs), indent=2))


if __name__ == "__main__":
    main()
