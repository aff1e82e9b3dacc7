"""`bench`: the benchmark suite, and how its result is shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from daskingest.bench import Report


def run_bench(
    corpus: Path | None, model: str | None, workers: int | None, quick: bool, as_json: bool
) -> None:
    """Measure and print. Raises DaskingestError."""
    for library in ("OMP", "OPENBLAS", "MKL"):  # before numpy is imported: one thread, as a worker
        os.environ[f"{library}_NUM_THREADS"] = "1"
    from daskingest.bench import bench

    console = Console(stderr=True)
    report = bench(corpus, model, workers, quick, console.print)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        _show(report, Console())


def _show(report: Report, console: Console) -> None:
    machine = report.machine
    console.print(
        f"{report.corpus} on {machine['cores']} cores of {machine['processor']}, "
        f"Python {machine['python']}, spaCy {machine['spacy']}, numpy {machine['numpy']} "
        f"({machine['blas']})",
        highlight=False,
    )
    rates = Table("what", box=None)
    rates.add_column("words/s", justify="right")
    for name, rate in report.rates.items():
        rates.add_row(name, f"{rate:,.0f}")
    ratios = Table("ratio", box=None)
    ratios.add_column("", justify="right")
    for name, ratio in report.ratios.items():
        ratios.add_row(name, f"{ratio:.2f}")
    for stage, share in report.stages.items():
        ratios.add_row(f"share of the recognizer's time: {stage}", f"{share:.0%}")
    console.print(rates, ratios)
