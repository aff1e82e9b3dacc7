"""`bench`: the benchmark suite, and how its result is shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.table import Table

from daskingest.cli.options import AsJson
from daskingest.cli.output import print_json
from daskingest.settings import Option
from daskingest.shared_options import Model, Workers

if TYPE_CHECKING:
    from daskingest.benchmarks.suite import Benchmark


def bench(
    corpus: Annotated[
        str | None,
        Option(
            "A CSV file of articles to measure with.",
            shown="real articles if there are some, else the bundled sample, repeated",
            is_path=True,
        ),
    ] = None,
    model: Model = None,
    workers: Workers = None,
    quick: Annotated[bool, Option("Take at most five minutes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast this machine extracts entities.

    It compares that with spaCy and matrix products, and says how fast the other parts of `run-csv`
    are: start-up, driver, saver, and a store that grows.
    """
    for library in (
        "OMP",
        "OPENBLAS",
        "MKL",
    ):  # before numpy is imported; one thread, as on a worker
        os.environ[f"{library}_NUM_THREADS"] = "1"
    from daskingest.benchmarks import suite

    file = Path(corpus) if corpus else None
    benchmark = suite.bench(file, model, workers, quick, Console(stderr=True).print)
    if as_json:
        print_json(benchmark.as_json())
    else:
        _show(benchmark, Console())


def _show(benchmark: Benchmark, console: Console) -> None:
    machine = benchmark.machine
    console.print(
        f"{benchmark.corpus} on {machine['cores']} cores of {machine['processor']}, "
        f"Python {machine['python']}, spaCy {machine['spacy']}, numpy {machine['numpy']} "
        f"({machine['blas']})",
        highlight=False,
    )
    rates = Table("what", box=None)
    rates.add_column("words/s", justify="right")
    for name, rate in benchmark.rates.items():
        rates.add_row(name, f"{rate:,.0f}")
    ratios = Table("ratio", box=None)
    ratios.add_column("", justify="right")
    for name, ratio in benchmark.ratios.items():
        ratios.add_row(name, f"{ratio:.2f}")
    for stage, share in benchmark.stages.items():
        ratios.add_row(f"share of the recognizer's time: {stage}", f"{share:.0%}")
    figures = Table("what else", box=None)
    figures.add_column("", justify="right")
    for name, figure in benchmark.figures.items():
        figures.add_row(name, f"{figure:,.2f}")
    console.print(rates, ratios, figures)
