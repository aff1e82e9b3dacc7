"""Several savers at work, as a user sees them: real processes, killed at real moments."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from models import make_deadly_model, python_path
from program import Program, StoreContent, content, kill, ledger, reference, run, until

SMALL = ["--workers", "2", "--batch-bytes", "3000", "--flush-interval", "0.3"]


@pytest.fixture(scope="session")
def expected() -> StoreContent:
    return reference(Path(__file__).parent.parent / "daskingest" / "sample.csv")


def savers(program: Program) -> list[psutil.Process]:
    """The workers that have the store open."""
    found = []
    for each in program.workers():
        with suppress(psutil.Error):
            if any(".db" in file.path for file in each.open_files()):
                found.append(each)
    return found


def test_one_of_three_savers_is_killed_and_the_run_goes_on(
    sample: Path, tmp_path: Path, expected: StoreContent
) -> None:
    program = Program(tmp_path, "run-csv", str(sample), *SMALL, "--savers", "3")
    store = tmp_path / "daskingest.db"
    for kills in range(1, 3):
        until(lambda: ledger(store) > 12 * kills or program.process.poll() is not None)
        if there := savers(program):
            kill(random.choice(there))
    assert program.wait() == 0, program.output
    program.wait_for_the_family_s_end()
    assert "an SQLite file takes one writer at a time" in program.output
    assert "64 = 64 articles + 0 rejects (all rows accounted for)" in program.output
    assert content(store) == expected


def test_a_run_goes_on_with_its_shards_whatever_the_number_of_savers(
    sample: Path, tmp_path: Path, expected: StoreContent
) -> None:
    store = tmp_path / "daskingest.db"
    for number, limit in (("3", "20"), ("1", "40")):
        options = ["--savers", number, "--limit", limit]
        code, output = run(tmp_path, "run-csv", str(sample), *SMALL, *options)
        assert code == 0, output
        assert sum(content(store)[0].values()) == int(limit)
    assert "continuing with 3 shards, as it was begun: --savers 1 is for files" in output
    program = Program(tmp_path, "run-csv", str(sample), *SMALL, "--savers", "2")
    before = ledger(store)
    until(lambda: ledger(store) > before or program.process.poll() is not None)
    program.kill_with_family()
    code, output = run(tmp_path, "run-csv", str(sample), *SMALL, "--savers", "5")
    assert code == 0, output
    assert content(store) == expected
    code, output = run(tmp_path, "run-csv", str(sample), "--savers", "3")
    assert "counted already" in output


@pytest.mark.slow
def test_a_file_that_one_saver_began_goes_on_without_shards(
    sample: Path, tmp_path: Path, expected: StoreContent
) -> None:
    store = tmp_path / "daskingest.db"
    assert run(tmp_path, "run-csv", str(sample), *SMALL, "--limit", "20")[0] == 0
    code, output = run(tmp_path, "run-csv", str(sample), *SMALL, "--savers", "3")
    assert code == 0, output
    assert "continuing with 1 shard, as it was begun" in output
    assert content(store) == expected


@pytest.mark.slow
def test_rejects_and_poison_are_told_once(write_csv: Callable[..., str], tmp_path: Path) -> None:
    model = make_deadly_model(tmp_path)
    pairs = [(f"P{i % 6}", f"Angela Merkel met Barack Obama, take {i}.") for i in range(60)]
    pairs[5] = ("P5", "")
    pairs[11] = ("P5", "This is POISON.")
    pairs[25] = ("P1", "A MISTAKE, but not deadly.")
    path = write_csv(pairs)
    options = ["--workers", "2", "--batch-bytes", "1000", "--model", model, "--savers", "3"]
    code, output = run(tmp_path, "run-csv", path, *options, PYTHONPATH=python_path(tmp_path))
    assert code == 0, output
    assert "60 = 57 articles + 3 rejects (all rows accounted for)" in output
    assert content(tmp_path / "daskingest.db")[0] == {
        **{f"p{i}": 10 for i in (0, 2, 3, 4)},
        **{"p1": 9, "p5": 8},
    }
    lines = (tmp_path / "rejects.jsonl").read_text().splitlines()
    assert sorted((entry["row"], entry["reason"]) for entry in map(json.loads, lines)) == [
        (6, "no content"),
        (12, "killed its worker"),
        (26, "extraction failed"),
    ]
