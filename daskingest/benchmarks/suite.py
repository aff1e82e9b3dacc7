"""The suite of `daskingest bench`: extraction, run-csv, its parts, and how they grow.

What is compared is measured in one run, in turns on the same articles, so that the ratios hold
even if the machine's speed drifts. Words are words of text, separated by white space.
"""

from __future__ import annotations

import asyncio
import itertools
import platform
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from dask.system import CPU_COUNT

from daskingest.articles import Article
from daskingest.benchmarks import scaling
from daskingest.benchmarks.contestants import Contestants
from daskingest.benchmarks.driver import dispatcher_tasks_per_second, driver_tasks_per_second
from daskingest.benchmarks.expected import expected
from daskingest.benchmarks.figures import Benchmark
from daskingest.benchmarks.firestore import firestore_writes_vs_floor
from daskingest.benchmarks.growth import Commit, commit_growth, flushes, measure, measure_alone
from daskingest.benchmarks.peak import encoder_vs_peak
from daskingest.benchmarks.peer_runs import NLP_PIPE, PEERS_OF_RUN_CSV, SPACY_3_7_5, Runner
from daskingest.benchmarks.saving import Feeding, Place, save
from daskingest.benchmarks.splitter import splitter_vs_wc
from daskingest.benchmarks.startup import startup_seconds
from daskingest.benchmarks.turns import Turns, write_articles
from daskingest.doctor.blas import library
from daskingest.models import find_model, load_pipeline
from daskingest.sources.csvfile import open_csv

CORPUS = Path("../shared/data/news-20k.csv")
SAMPLE = Path(__file__).parent.parent / "sample.csv"

_ARTICLES = 20_000  # for run-csv, at least
_COMPARED = 4_000  # for the encoder, which has met the words of half of them
_STARTS = 3
_PUBLISHED = 5  # batches that are published

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    rounds: int
    """In each of them, everything that is compared has a turn."""
    turns: int
    """Of what runs in one process, in each round."""
    repeats: int
    """Of each run that tells how run-csv grows."""
    part: int
    """Of the articles, run-csv counts one in so many."""
    compared: int
    """Articles for each worker that run-csv and all others count."""
    rows: int
    """Of the store that grows."""
    batches: int
    """That a saver takes."""


WHOLE = Extent(5, 4, 3, 1, 1_500, 8_000_000, 4_000)
QUICK = Extent(2, 3, 1, 4, 250, 800_000, 400)


def bench(
    corpus: Path | None,
    model: str | None,
    workers: int | None,
    extent: Extent,
    peers: bool,
    say: Say,
) -> dict[str, Any]:
    """Run the suite, and return its report; `say` is called with what is being measured.

    Set OPENBLAS_NUM_THREADS=1 (and MKL's) before numpy is imported: one process, one thread.
    Raises DaskingestError.
    """
    name, workers = find_model(model), workers or CPU_COUNT
    file = corpus or (CORPUS if CORPUS.exists() else SAMPLE)
    articles = list(_articles(file))
    if file == SAMPLE:
        articles *= -(-_ARTICLES // len(articles))
    random.Random(0).shuffle(articles)  # so that the first ones are like all
    about = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "quick": extent == QUICK,
        "corpus": file.name,
        "machine": machine(workers),
    }
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(Benchmark(about), articles, name, workers, extent, Path(folder), say)
        suite.extraction(peers)
        suite.driving()
        suite.storing()
        suite.growing()
    return suite.benchmark.as_json()


@dataclass(frozen=True, slots=True)
class Suite:
    """What is measured with, and what came of it so far."""

    benchmark: Benchmark
    articles: Sequence[Article]
    model: str
    workers: int
    extent: Extent
    folder: Path
    say: Say

    def extraction(self, peers: bool) -> None:
        """All that extracts entities, in turns."""
        texts = [each.content for each in self.articles]
        rates, figures = self.benchmark.rates, self.benchmark.figures
        single, turns = Contestants(self.model, texts, rates), self._turns()
        if peers:
            turns.install()
        for number in range(self.extent.rounds):
            self.say(f"round {number + 1} of {self.extent.rounds}: one process")
            for _ in range(self.extent.turns):
                turns.old_spacy(single.turn())
            turns.take()
        whole = single.seconds["recognizer"]
        self.benchmark.stages |= {name: each / whole for name, each in single.stages.items()}
        self.say("the encoder, and what a core can do at most")
        figures["encoder_vs_peak"] = encoder_vs_peak(self.model, texts[:_COMPARED])
        ratios = self.benchmark.ratios
        ratios |= {
            "recognizer_vs_nlp_pipe": rates.ratio("recognizer", "nlp.pipe, ner only"),
            "recognizer_vs_older_design": rates.ratio("recognizer", "older design"),
            "recognizer_vs_bare_products": rates.ratio("bare products", "recognizer"),
            "recognizer_vs_tokenizer": rates.ratio("recognizer", "tokenizer"),
            "run_csv_efficiency": rates.ratio("run-csv", "recognizer").divided(self.workers),
        }
        for peer in (SPACY_3_7_5, NLP_PIPE, *PEERS_OF_RUN_CSV):
            if peer.name in rates.of:
                ours = "recognizer" if peer == SPACY_3_7_5 else "run-csv"
                ratios[peer.figure] = rates.ratio(ours, peer.name)

    def _turns(self) -> Turns:
        mine = self.articles[: len(self.articles) // self.extent.part]
        theirs = self.articles[: self.extent.compared * self.workers]
        data = load_pipeline(self.model, entities_only=True).path
        return Turns(
            write_articles(self.folder / "mine.csv", mine),
            write_articles(self.folder / "theirs.csv", theirs),
            self.model,
            Runner(self.folder, data, self.workers),
            self.benchmark.rates,
            self.benchmark.peers,
            self.say,
        )

    def driving(self) -> None:
        """What is there besides, a batch or a run."""
        self.say(f"run-csv starts {_STARTS} times")
        starts = [startup_seconds(self.workers) for _ in range(_STARTS)]
        self.say("tasks without work")
        self.benchmark.figures |= {
            "startup_seconds": statistics.median(starts),
            "driver_tasks_per_second": driver_tasks_per_second(self.workers),
            "dispatcher_tasks_per_second": dispatcher_tasks_per_second(),
            "splitter_vs_wc": splitter_vs_wc(),
        }

    def storing(self) -> None:
        """Commits, and a store that grows."""
        self.say(f"a store that grows to {self.extent.rows:,} rows")
        commits = measure_alone(self.folder / "growth.db", self.extent.rows)
        self.say(f"a saver and {self.extent.batches:,} batches")
        place = Place.of(self.folder / "saver.db")
        saved = asyncio.run(save(place, self.model, Feeding(self.extent.batches)))
        self.say("publishing to Firestore")
        published = self.folder / "published.db"
        measure(published, itertools.islice(flushes(flush=_PUBLISHED), 1))
        self.benchmark.figures |= {
            "firestore_writes_vs_floor": firestore_writes_vs_floor(published),
            "commit_growth": commit_growth(self.folder, commits),
            "commit_growth_rows": commits[-1].rows,
            "commit_microseconds": sum(each.cpu * each.counters for each in commits)
            / sum(each.counters for each in commits),
            "saver_batches_per_second": saved.rate,
            "saver_batches_per_cpu_second": saved.batches / saved.cpu,
        }
        self.benchmark.growth["store"] = [_row(each) for each in commits]

    def growing(self) -> None:
        """run-csv with more articles, and with more workers; and what that comes to."""
        files = []
        for size in scaling.SIZES:
            some = self.articles[: int(len(self.articles) / self.extent.part * size)]
            files.append(write_articles(self.folder / f"growth-{size}.csv", some))
        middle, numbers = files[1], scaling.worker_numbers(self.workers)
        wanted = [(file, self.workers) for file in files]
        wanted += [(middle, number) for number in numbers if number != self.workers]
        runs: dict[tuple[Path, int], list[scaling.Run]] = {}
        for _, (file, number) in itertools.product(range(self.extent.repeats), wanted):
            self.say(f"run-csv with {file.stat().st_size:,} bytes and {number} workers")
            found = scaling.run(file, self.model, number, self.folder)
            runs.setdefault((file, number), []).append(found)
        typical = {each: scaling.typical(several) for each, several in runs.items()}
        growth, largest = self.benchmark.growth, typical[files[-1], self.workers]
        growth["input"] = [typical[file, self.workers].as_json() for file in files]
        growth["workers"] = [typical[middle, number].as_json() for number in numbers]
        speed = largest.size / largest.seconds
        self.benchmark.expected |= expected(speed, self.workers, self.benchmark.figures)


def _row(commit: Commit) -> dict[str, float]:
    return {
        "rows": commit.rows,
        "cpu_microseconds": round(commit.cpu, 2),
        "bytes": commit.size,
        "memory": commit.memory,
    }


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


def _articles(file: Path) -> Iterator[Article]:
    for part in open_csv(str(file)).ranges(1 << 20):
        yield from (row for row in part.rows() if isinstance(row, Article))
