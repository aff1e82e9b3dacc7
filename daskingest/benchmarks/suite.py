"""The suite of `daskingest bench`: extraction, run-csv, its parts, and a store that grows.

What is extracted is measured in one run, in turns on the same articles, so that the ratios hold
even if the machine's speed drifts. Words are words of text, separated by white space.
"""

from __future__ import annotations

import asyncio
import csv
import itertools
import platform
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from dask.system import CPU_COUNT

from daskingest.articles import Article
from daskingest.benchmarks.contestants import Contestants, spacy_processes
from daskingest.benchmarks.driver import dispatcher_tasks_per_second, driver_tasks_per_second
from daskingest.benchmarks.firestore import firestore_writes_vs_floor
from daskingest.benchmarks.growth import commit_growth, flushes, measure
from daskingest.benchmarks.peak import encoder_vs_peak
from daskingest.benchmarks.saving import save
from daskingest.benchmarks.splitter import splitter_vs_wc
from daskingest.benchmarks.startup import startup_seconds
from daskingest.doctor.blas import library
from daskingest.models import find_model
from daskingest.sources.csvfile import open_csv

CORPUS = Path("../shared/data/news-20k.csv")
SAMPLE = Path(__file__).parent.parent / "sample.csv"

_ARTICLES = 20_000  # for run-csv, at least
_COMPARED = 4_000  # for the encoder, which has met the words of half of them
_STARTS = 3
_PUBLISHED = 5  # batches that are published

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Extent:
    """How much is measured."""

    turns: int
    rows: int
    """Of the store that grows."""
    batches: int
    """That a saver takes."""


_WHOLE = _Extent(turns=16, rows=8_000_000, batches=4_000)
_QUICK = _Extent(turns=4, rows=800_000, batches=400)


@dataclass(slots=True)
class Benchmark:
    """The results. `rates` are words of text per second, `stages` shares of the recognizer's time;
    `ratios`, and `figures` of what is not extraction, go by the names that other programs read."""

    corpus: str
    machine: dict[str, Any]
    rates: dict[str, float] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        rates = {name: round(rate) for name, rate in self.rates.items()}
        stages = {name: round(share, 3) for name, share in self.stages.items()}
        named = {name: round(each, 3) for name, each in (self.ratios | self.figures).items()}
        return {
            **named,
            "recognizer_words_per_second": rates["recognizer"],
            "words_per_second": rates,
            "stages": stages,
            "corpus": self.corpus,
            "machine": self.machine,
        }


def bench(
    corpus: Path | None,
    model: str | None,
    workers: int | None,
    quick: bool,
    say: Say = lambda message: None,
) -> Benchmark:
    """Run the suite; `say` is called with what is being measured. Raises DaskingestError.

    Set OPENBLAS_NUM_THREADS=1 (and MKL's) before numpy is imported: one process, one thread.
    """
    name = find_model(model)
    workers = workers or CPU_COUNT
    extent = _QUICK if quick else _WHOLE
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = corpus or (CORPUS if CORPUS.exists() else _repeated(SAMPLE, folder))
        benchmark = Benchmark(file.name, machine(workers))
        _extraction(benchmark, file, name, workers, extent, folder, say)
        _driving(benchmark, workers, say)
        _storing(benchmark, name, extent, folder, say)
    return benchmark


def _extraction(
    benchmark: Benchmark,
    file: Path,
    model: str,
    workers: int,
    extent: _Extent,
    folder: Path,
    say: Say,
) -> None:
    texts = list(_texts(file))
    random.Random(0).shuffle(texts)
    single = Contestants(model, texts)
    for turn in range(extent.turns):
        say(f"one process, turn {turn + 1}")
        single.turn()
    rates = benchmark.rates
    rates |= {each: clock.rate for each, clock in single.clocks.items()}
    say("the encoder, and what a core can do at most")
    benchmark.ratios["encoder_vs_peak"] = encoder_vs_peak(model, texts[:_COMPARED])
    say(f"nlp.pipe with {workers} processes")
    rates["nlp.pipe in processes"] = spacy_processes(model, texts, workers, extent.turns)
    say(f"run-csv with {workers} workers")
    rates["run-csv"] = asyncio.run(_run_csv(file, model, workers, folder))
    whole, bare = (single.clocks[each].seconds for each in ("recognizer", "bare products"))
    benchmark.ratios |= {
        "recognizer_vs_nlp_pipe": rates["recognizer"] / rates["nlp.pipe, ner only"],
        "recognizer_vs_older_design": rates["recognizer"] / rates["older design"],
        "recognizer_vs_bare_products": whole / bare,
        "recognizer_vs_tokenizer": rates["recognizer"] / rates["tokenizer"],
        "run_csv_efficiency": rates["run-csv"] / (workers * rates["recognizer"]),
        "run_csv_vs_nlp_pipe": rates["run-csv"] / rates["nlp.pipe in processes"],
    }
    benchmark.stages |= {stage: seconds / whole for stage, seconds in single.stages.items()}


def _driving(benchmark: Benchmark, workers: int, say: Say) -> None:
    say(f"run-csv starts {_STARTS} times")
    starts = [startup_seconds(workers) for _ in range(_STARTS)]
    say("tasks without work")
    benchmark.figures |= {
        "startup_seconds": statistics.median(starts),
        "driver_tasks_per_second": driver_tasks_per_second(workers),
        "dispatcher_tasks_per_second": dispatcher_tasks_per_second(),
        "splitter_vs_wc": splitter_vs_wc(),
    }


def _storing(benchmark: Benchmark, model: str, extent: _Extent, folder: Path, say: Say) -> None:
    say(f"a store that grows to {extent.rows:,} rows")
    commits = measure(folder / "growth.db", flushes(extent.rows))
    say(f"a saver and {extent.batches:,} batches")
    saved = asyncio.run(save(folder / "saver.db", model, extent.batches))
    say("publishing to Firestore")
    published = folder / "published.db"
    measure(published, itertools.islice(flushes(flush=_PUBLISHED), 1))
    benchmark.figures |= {
        "firestore_writes_vs_floor": firestore_writes_vs_floor(published),
        "commit_growth": commit_growth(folder, commits),
        "commit_growth_rows": commits[-1].rows,
        "commit_microseconds": sum(each.cpu * each.counters for each in commits)
        / sum(each.counters for each in commits),
        "saver_batches_per_second": saved.rate,
        "saver_batches_per_cpu_second": saved.batches / saved.cpu,
    }


async def _run_csv(file: Path, model: str, workers: int, folder: Path) -> float:
    from daskingest.pipeline.run import Run
    from daskingest.progress import Progress
    from daskingest.settings import Settings

    store = f"sqlite:///{folder.absolute() / 'bench.db'}"
    rejects = str(folder / "rejects.jsonl")
    settings = Settings(store=store, workers=workers, model=model, rejects=rejects)
    [summary] = await Run([str(file)], settings, Progress())()
    return summary.fresh.text_words / summary.seconds


def machine(workers: int) -> dict[str, Any]:
    """What the results depend on."""
    names = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.split(":")[1].strip() for line in names if line.startswith("model name")), "")
    return {
        "processor": name or platform.machine(),
        "cores": workers,
        "python": platform.python_version(),
        "spacy": version("spacy"),
        "numpy": np.__version__,
        "blas": library(),
    }


def _texts(file: Path) -> Iterator[str]:
    for part in open_csv(str(file)).ranges(1 << 20):
        yield from (row.content for row in part.rows() if isinstance(row, Article))


def _repeated(sample: Path, folder: Path) -> Path:
    """The sample, repeated, as a file of enough articles."""
    with sample.open(newline="", encoding="utf-8") as source:
        header, *rows = csv.reader(source)
    file = folder / "sample-repeated.csv"
    with file.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        writer.writerow(header)
        for _ in range(-(-_ARTICLES // len(rows))):
            writer.writerows(rows)
    return file
