"""The benchmark of a large file, with a small one: exact, and its chart shows what was seen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from daskingest.benchmarks.chart import Panel, png, svg
from daskingest.benchmarks.recorded import Recorded
from daskingest.benchmarks.watch import Watched
from daskingest.sample.maker import MARK_END, MARKS


def test_names_are_found_by_their_marks() -> None:
    text = f"In {MARKS['GPE']}Berlin{MARK_END}, {MARKS['PERSON']}Ada\nKrüger{MARK_END} spoke."
    [(found, _)] = Recorded().read([text])
    assert [(text[start:end], label) for start, end, label in found] == [
        ("Berlin", "GPE"),
        ("Ada\nKrüger", "PERSON"),
    ]


def test_rates_over_a_part_of_a_run() -> None:
    even_then_half = [(10.0, 100), (20.0, 200), (40.0, 300)]
    watched = Watched(batches=even_then_half, cpu=[(0, 0), (20, 10), (40, 30)])
    assert watched.rate(0, 0.5) == 10
    assert watched.rate(0.5, 1) == pytest.approx(watched.rate(0.9, 1)) == 5
    assert watched.rate(0.25, 0.75) == pytest.approx(100 / 15)
    assert watched.cost(0, 0.5) == pytest.approx(5 / 100)
    assert watched.cost(0.5, 1) == pytest.approx(20 / 100)


def test_a_chart_is_a_picture_with_all_names() -> None:
    panels = [Panel("a < $b$", {"one": [(0, 1), (5, 3)], "two": [(0, 0)]}), Panel("c", {})]
    drawn = svg("title", "s", panels)
    root = ElementTree.fromstring(drawn)
    texts = {each.text for each in root.iter() if each.tag.endswith("text")}
    assert texts >= {"title", "a < $b$", "one", "two", "c", "s"}
    assert drawn == svg("title", "s", panels)
    assert png("title", "s", panels).startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_small_file_comes_out_exactly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "daskingest.benchmarks.all_the_news"]
    command += ["--size", "2e7", "--folder", str(tmp_path)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["exact"], result.stderr
    assert found["bytes"] >= 2e7
    assert found["last_tenth_vs_first"] > 0
    assert "saver" in found["most_memory_mib"]
    ElementTree.fromstring((tmp_path / "all-the-news.svg").read_text())
