"""`bench`: the benchmark suite, and how its report is shown."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table

from daskingest.cli.options import AsJson
from daskingest.cli.output import print_json, print_lines, print_table
from daskingest.errors import UsageError
from daskingest.settings import Option
from daskingest.shared_options import Model, Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is measured, with what."""

    corpus: Annotated[
        str | None,
        Option(
            "A CSV file of articles to measure with.",
            shown="real articles if there are some, else the bundled sample, repeated",
            is_path=True,
        ),
    ] = None
    model: Model = None
    workers: Workers = None
    quick: Annotated[bool, Option("Take at most five minutes, without --peers.")] = False
    peers: Annotated[
        bool,
        Option(
            "Measure what one might use instead, too: an older spaCy, Ray Data, datatrove and "
            "others, installed once into the user's cache folder."
        ),
    ] = False


def bench(
    measured: Measured,
    page: Annotated[
        str | None,
        Option("Write the report, with pictures, as a page into this folder.", is_path=True),
    ] = None,
    report: Annotated[
        str | None,
        Option(
            "Measure nothing: show the report that --json printed into this file.", is_path=True
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how fast this machine extracts entities.

    It compares that with spaCy, matrix products and what one might use instead, and says how fast
    the other parts of `run-csv` are, and how it grows with its input, its store and its workers.
    """
    if report and measured != Measured():
        raise UsageError(
            "--report measures nothing: expected no other option but --page and --json"
        )
    for library in ("OMP", "OPENBLAS", "MKL"):  # before numpy is imported; as on a worker
        os.environ[f"{library}_NUM_THREADS"] = "1"
    from daskingest.benchmarks.page import read_report, write_page

    if report:
        found = read_report(Path(report))
    else:
        from daskingest.benchmarks import suite

        found = suite.bench(
            Path(measured.corpus) if measured.corpus else None,
            measured.model,
            measured.workers,
            suite.QUICK if measured.quick else suite.WHOLE,
            measured.peers,
            Console(stderr=True).print,
        )
    if page:
        write_page(found, Path(page))
    if as_json:
        print_json(found)
    else:
        _show(found, Console())


def _show(report: dict[str, Any], console: Console) -> None:
    from daskingest.benchmarks.page import figures, measured_on

    print_lines(console, measured_on(report))
    for name, said in report["peers"].items():
        counts = said.get("failed") or f"counts beside run-csv's: {said['counts']}"
        print_lines(console, f"{name}: {counts}")
    table = Table("what", box=None)
    table.add_column("words/s", justify="right")
    for name, rate in report["words_per_second"].items():
        table.add_row(name, f"{rate:,}")
    ratios = Table("ratio", box=None)
    for column in ("median", "from", "to"):
        ratios.add_column(column, justify="right")
    for name, (low, high) in report["spread"].items():
        ratios.add_row(name, f"{report[name]:.2f}", f"{low:.2f}", f"{high:.2f}")
    others = Table("what else", box=None)
    others.add_column("", justify="right")
    for stage, share in report["stages"].items():
        others.add_row(f"share of the recognizer's time: {stage}", f"{share:.0%}")
    for name, figure in figures(report).items():
        others.add_row(name, f"{figure:,.2f}")
    for name, seconds in report["expected"].items():
        others.add_row(f"8 GB on 16 cores, computed: {name}", f"{seconds:,.0f}")
    for each in (table, ratios, others):
        print_table(each)
