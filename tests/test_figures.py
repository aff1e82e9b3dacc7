"""Figures of several turns, the page that is made of them, and that the README has the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from daskingest.benchmarks.expected import expected
from daskingest.benchmarks.figures import Benchmark, Figure, Rates
from daskingest.benchmarks.page import (
    BEGIN,
    END,
    page,
    read_report,
    readme_figures,
    with_figures,
    write_page,
)
from daskingest.benchmarks.scaling import Run, typical, worker_numbers
from daskingest.cli.app import app
from daskingest.errors import UsageError

ROOT = Path(__file__).parent.parent
PERFORMANCE = ROOT / "performance"


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """`bench` sets them in its process, which is that of the tests."""
    for library in ("OMP", "OPENBLAS", "MKL"):
        monkeypatch.setenv(f"{library}_NUM_THREADS", os.environ.get(f"{library}_NUM_THREADS", "1"))


@pytest.fixture
def report() -> dict[str, Any]:
    on = dict.fromkeys(("processor", "cores", "python", "spacy", "numpy", "blas"), "2")
    about = {"date": "2026-01-02", "quick": True, "corpus": "news.csv", "machine": on}
    benchmark = Benchmark(about)
    for rate in (100.0, 120.0):
        benchmark.rates.add("recognizer", rate)
        benchmark.rates.add("Ray Data", rate / 10)
    benchmark.ratios["run_csv_vs_ray_data"] = benchmark.rates.ratio("recognizer", "Ray Data")
    benchmark.figures["startup_seconds"] = 4.25
    for name, size in ("input", "bytes"), ("workers", "workers"), ("store", "rows"):
        row = {"seconds": 2.0, "bytes_per_second": 5e6, "memory": 2**30, "cpu_microseconds": 4.0}
        rows = [{"bytes": 7e6, "workers": 1} | row | {size: 10.0**n} for n in (3, 4)]
        benchmark.growth[name] = rows
    benchmark.peers = {
        "Ray Data": {"versions": {"ray": "2.60"}, "counts": "3 of 99 counters differ"},
        "datatrove": {"failed": "cannot be installed: no network"},
    }
    keys = ("driver_tasks_per_second", "saver_batches_per_cpu_second", "startup_seconds")
    benchmark.expected = expected(1e6, 2, dict.fromkeys(keys, 10.0))
    return benchmark.as_json()


def test_a_ratio_is_that_of_turns_and_groups_of_turns() -> None:
    rates = Rates({"slow": [1, 2], "fast": [10, 20], "often": [9, 10, 11, 18, 20, 90]})
    assert rates.ratio("fast", "slow") == Figure(10, 10, 10)
    assert rates.ratio("often", "slow") == Figure(10, 10, 10)
    assert Figure.of([1, 2, 3, 4, 90]) == Figure(3, 2, 4)
    assert Figure(3, 2, 4).divided(2) == Figure(1.5, 1, 2)


def test_what_decides_is_the_slowest_part() -> None:
    speeds = {"driver_tasks_per_second": 10, "saver_batches_per_cpu_second": 100}
    found = expected(1e6, 2, speeds | {"startup_seconds": 5})
    assert found["extraction_seconds"] == 1000
    assert found["driver_seconds"] == pytest.approx(762.9)
    assert found["seconds"] == 1005


def test_runs_and_workers() -> None:
    assert [worker_numbers(n) for n in (1, 2, 6)] == [[1], [1, 2], [1, 2, 4, 6]]
    found = typical([Run(10, 2, seconds, 5) for seconds in (1.0, 9.0, 2.0)])
    assert found.as_json()["bytes_per_second"] == 5


def test_the_report_has_flat_names(report: dict[str, Any]) -> None:
    assert report["run_csv_vs_ray_data"] == 10
    assert report["startup_seconds"] == 4.25
    assert report["recognizer_words_per_second"] == 110
    assert report["spread"] == {"run_csv_vs_ray_data": [10, 10]}
    assert report["turns"] == {"recognizer": 2, "Ray Data": 2}


def test_a_page_of_a_report(report: dict[str, Any], tmp_path: Path) -> None:
    write_page(report, tmp_path)
    assert read_report(tmp_path / "run.json") == report
    text = (tmp_path / "README.md").read_text()
    assert text == page(report)
    for said in (
        "Measured on 2026-01-02 with news.csv",
        "| `run_csv_vs_ray_data` | 10.00 | 10.00 to 10.00 |",
        "| `startup_seconds` | 4.25 |",
        "**Ray Data**: ray 2.60; its counts, beside run-csv's: 3 of 99 counters differ.",
        "**datatrove** cannot be installed: no network",
        "8.00 GB on 16 cores",
    ):
        assert said in text
    names = {f"{name}.{kind}" for name in report["growth"] for kind in ("svg", "png")}
    assert {each.name for each in tmp_path.iterdir()} == {"README.md", "run.json", *names}


def test_a_report_is_shown_again(report: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps(report))
    result = CliRunner().invoke(app, ["bench", "--report", str(file), "--page", f"{tmp_path}/p"])
    assert result.exit_code == 0, result.output
    assert "datatrove: cannot be installed: no network" in result.output
    assert "Ray Data: counts beside run-csv's: 3 of 99 counters differ" in result.output
    assert (tmp_path / "p" / "input.png").exists()


def test_what_is_no_report_is_named(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    for text in ("", "[]", "{}"):
        file.write_text(text)
        with pytest.raises(UsageError, match=r"run\.json"):
            read_report(file)
    result = CliRunner().invoke(app, ["bench", "--report", str(file), "--quick"])
    assert isinstance(result.exception, UsageError)


def test_the_readme_s_figures_are_those_of_the_page() -> None:
    report = read_report(PERFORMANCE / "run.json")
    readme = (ROOT / "README.md").read_text()
    again = "run `python -m daskingest.benchmarks.page performance README.md`"
    assert readme == with_figures(readme, report), again
    assert readme_figures(report) in readme
    assert (PERFORMANCE / "README.md").read_text() == page(report), "run `make performance-page`"


def test_a_readme_without_a_place_for_figures(report: dict[str, Any]) -> None:
    assert with_figures(f"a\n{BEGIN}\nold\n{END}\nb", report).startswith(f"a\n{BEGIN}\nMeasured")
    with pytest.raises(ValueError, match="the README has no"):
        with_figures(f"a\n{BEGIN}", report)
