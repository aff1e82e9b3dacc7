"""Benchmarks: the recognizer against spaCy and bare matrix products, and run-csv on all cores.

Everything is measured in one run, in turns on the same articles, so that the ratios hold even if
the machine's speed drifts. Words are words of text, separated by white space.
"""

from __future__ import annotations

import asyncio
import csv
import itertools
import platform
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.system import CPU_COUNT

from daskingest.articles import Article
from daskingest.doctor.blas import library
from daskingest.grouping import grouped
from daskingest.models import find_model, load_model, load_pipeline
from daskingest.recognizer import Recognizer
from daskingest.recognizer.finder import Finder
from daskingest.sources.boundaries import ranges
from daskingest.sources.csvfile import open_csv

if TYPE_CHECKING:
    from spacy.language import Language

CORPUS = Path("../shared/data/news-20k.csv")
SAMPLE = Path(__file__).parent / "sample.csv"

_ARTICLES = 20_000  # for run-csv, at least
_WARM_UP = 2_000  # articles before those that are timed
_BLOCK = 384  # rows of one bare product
_GROUP_CHARS = 100_000

Texts = Sequence[str]


@dataclass(slots=True)
class Stopwatch:
    """What a contestant has done so far, and how long it took."""

    text_words: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.text_words / self.seconds if self.seconds else 0.0

    def time(self, work: Callable[[Texts], object], texts: Texts) -> None:
        started = time.perf_counter()
        work(texts)
        self.seconds += time.perf_counter() - started
        self.text_words += text_words_in(texts)


@dataclass(slots=True)
class Benchmark:
    """The results. Rates are words of text per second; `stages` shares of the recognizer's time."""

    corpus: str
    machine: dict[str, Any]
    rates: dict[str, float]
    stages: dict[str, float]
    ratios: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        rates = {name: round(rate) for name, rate in self.rates.items()}
        stages = {name: round(share, 3) for name, share in self.stages.items()}
        ratios = {name: round(ratio, 3) for name, ratio in self.ratios.items()}
        return {
            **ratios,
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
    say: Callable[[str], None] = lambda message: None,
) -> Benchmark:
    """Run the suite; `say` is called with what is being measured. Raises DaskingestError.

    Set OPENBLAS_NUM_THREADS=1 (and MKL's) before numpy is imported: one process, one thread.
    """
    name = find_model(model)
    workers = workers or CPU_COUNT
    with tempfile.TemporaryDirectory() as folder:
        file = corpus or (CORPUS if CORPUS.exists() else _repeated(SAMPLE, Path(folder)))
        texts = list(_texts(file))
        random.Random(0).shuffle(texts)
        single = _Single(name, texts)
        for turn in range(4 if quick else 16):
            say(f"one process, turn {turn + 1}")
            single.turn()
        rates = {each: clock.rate for each, clock in single.clocks.items()}
        say(f"nlp.pipe with {workers} processes")
        rates["nlp.pipe in processes"] = _spacy_processes(name, texts, workers, 4 if quick else 16)
        say(f"run-csv with {workers} workers")
        rates["run-csv"] = asyncio.run(_run_csv(file, name, workers, Path(folder)))
    bare = single.clocks["bare products"].seconds
    ratios = {
        "recognizer_vs_nlp_pipe": rates["recognizer"] / rates["nlp.pipe, ner only"],
        "recognizer_vs_older_design": rates["recognizer"] / rates["older design"],
        "recognizer_vs_bare_products": single.clocks["recognizer"].seconds / bare,
        "recognizer_vs_tokenizer": rates["recognizer"] / rates["tokenizer"],
        "run_csv_efficiency": rates["run-csv"] / (workers * rates["recognizer"]),
        "run_csv_vs_nlp_pipe": rates["run-csv"] / rates["nlp.pipe in processes"],
    }
    total = single.clocks["recognizer"].seconds
    stages = {stage: seconds / total for stage, seconds in single.stages.items()}
    return Benchmark(str(file.name), machine(workers), rates, stages, ratios)


class _Single:
    """The contestants that run in this process, and their times."""

    def __init__(self, model: str, texts: Texts) -> None:
        self._slices = _slices(texts[_WARM_UP:] or texts)
        self._whole = load_pipeline(model)
        self._plain = load_pipeline(model, entities_only=True)
        self._find = load_model(model)
        self._component = load_pipeline(model, entities_only=True)
        Finder(self._component)
        self.stages: dict[str, float] = {}
        self.clocks: dict[str, Stopwatch] = {}
        self._recognize(texts[:_WARM_UP])
        self._pipe(self._component)(texts[:_WARM_UP])
        self._pipe(self._plain)(texts[: _WARM_UP // 20])
        self._watch_stages()

    def turn(self) -> None:
        """Run each contestant once; slower ones on fewer of the same articles."""
        texts = next(self._slices)
        products = _Products(self._find)
        tokenizer: Any = self._plain.tokenizer
        tokens = sum(len(doc) for doc in tokenizer.pipe(texts))
        contestants: dict[str, tuple[Callable[[Texts], object], int]] = {
            "recognizer": (self._recognize, 1),
            "bare products": (lambda _: products(tokens), 1),
            "recognizer as a component": (self._pipe(self._component), 2),
            "tokenizer": (lambda its: [len(doc) for doc in tokenizer.pipe(its)], 2),
            "nlp.pipe, ner only": (self._pipe(self._plain), 12),
            "nlp.pipe, whole pipeline": (self._pipe(self._whole), 24),
            "older design": (lambda its: [self._whole(text).ents for text in its], 48),
        }
        for name, (work, part) in contestants.items():
            self.clocks.setdefault(name, Stopwatch()).time(work, texts[: len(texts) // part])

    def _recognize(self, texts: Texts) -> None:
        with self._find.nlp.memory_zone():
            for group in grouped(texts, len, _GROUP_CHARS):
                self._find(group)

    @staticmethod
    def _pipe(nlp: Language) -> Callable[[Texts], object]:
        def work(texts: Texts) -> None:
            with nlp.memory_zone():
                for doc in nlp.pipe(texts):
                    len(doc.ents)

        return work

    def _watch_stages(self) -> None:
        recognizer = self._find.recognizer
        if recognizer is None:
            return
        for stage, owner, method in (
            ("tokens", self._find.pieces, "read"),
            ("vectors", recognizer.encoder, "encode"),
            ("entities", recognizer.decoder, "decode"),
        ):
            setattr(owner, method, self._timed(stage, getattr(owner, method)))

    def _timed(self, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        self.stages[stage] = 0.0

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            result = work(*arguments)
            self.stages[stage] += time.perf_counter() - started
            return result

        return timed


class _Products:
    """Only the matrix products of a model's `ner`, computed by numpy."""

    def __init__(self, find: Finder) -> None:
        ner: Any = find.nlp.get_pipe("ner")
        model = (ner.trained if isinstance(ner, Recognizer) else ner).model
        convolutions = model.get_ref("tok2vec").layers[0].get_ref("encode").walk()
        shapes = [
            (node.get_dim("nI"), node.get_dim("nO") * node.get_dim("nP"))
            for node in convolutions
            if node.name == "maxout"
        ]
        linear, lower = model.get_ref("tok2vec").layers[2], model.get_ref("lower")
        shapes.append((linear.get_dim("nI"), linear.get_dim("nO")))
        outputs = lower.get_dim("nO") * lower.get_dim("nP") * lower.get_dim("nF")
        shapes.append((lower.get_dim("nI"), outputs))
        random_numbers = np.random.default_rng(0)
        self._products = [
            (
                random_numbers.standard_normal((_BLOCK, inputs), np.float32),
                random_numbers.standard_normal((inputs, outputs), np.float32),
                np.empty((_BLOCK, outputs), np.float32),
            )
            for inputs, outputs in shapes
        ]

    def __call__(self, tokens: int) -> None:
        for start in range(0, tokens, _BLOCK):
            rows = min(_BLOCK, tokens - start)
            for left, right, out in self._products:
                np.matmul(left[:rows], right, out=out[:rows])


def _spacy_processes(model: str, texts: Texts, workers: int, batches: int) -> float:
    """Words of text per second of nlp.pipe, measured after the first text has come back."""
    nlp = load_pipeline(model, entities_only=True)
    size = 64
    texts = texts[: size * (1 + workers * batches)]
    docs = nlp.pipe(texts, n_process=workers, batch_size=size)
    next(docs)
    clock = Stopwatch()
    clock.time(lambda _: [len(doc.ents) for doc in docs], texts[size:])
    return clock.rate


async def _run_csv(file: Path, model: str, workers: int, folder: Path) -> float:
    from daskingest.pipeline.run import Run
    from daskingest.progress import Progress
    from daskingest.settings import Settings

    store = f"sqlite:///{folder.absolute() / 'bench.db'}"
    rejects = str(folder / "rejects.jsonl")
    settings = Settings(store=store, workers=workers, model=model, rejects=rejects)
    [summary] = await Run([str(file)], settings, Progress())()
    return summary.fresh.text_words / summary.seconds


def text_words_in(texts: Texts) -> int:
    return sum(len(text.split()) for text in texts)


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
    for part in ranges(open_csv(str(file)), 1 << 20):
        yield from (row.content for row in part.rows() if isinstance(row, Article))


def _slices(texts: Texts) -> Iterator[Texts]:
    """The articles for each turn; starts over when they are used up."""
    size = min(len(texts), 480)
    starts = itertools.cycle(range(0, len(texts) - size + 1, size))
    return (texts[start : start + size] for start in starts)


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
