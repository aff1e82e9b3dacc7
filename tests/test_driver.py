"""The driver on real workers, with batches that kill them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from clusters import dask_process, has_workers
from models import make_deadly_model, python_path
from program import Program, content, kill, ledger, run, until

TEXT = "Angela Merkel met Barack Obama in Berlin, take {}."


@pytest.mark.slow
def test_a_poison_article_is_rejected_and_its_neighbours_are_counted(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    model = make_deadly_model(tmp_path)
    pairs = [("P", TEXT.format(i)) for i in range(40)]
    pairs[11] = ("P", "This is POISON.")
    pairs[25] = ("P", "A MISTAKE, but not deadly.")
    path = write_csv(pairs)
    options = ["--workers", "2", "--batch-bytes", "1000", "--model", model, "--no-progress"]
    environment = {"PYTHONPATH": python_path(tmp_path)}
    code, output = run(tmp_path, "run-csv", path, *options, **environment)
    assert code == 0, output
    articles, counts = content(tmp_path / "daskingest.db")
    assert articles == {"p": 38}
    assert counts["p", "angela merkel", "PERSON"] == 38
    assert "rejected  1 killed its worker" in output
    assert "rejected  1 extraction failed" in output
    lines = (tmp_path / "rejects.jsonl").read_text().splitlines()
    found = {entry["row"]: entry for entry in map(json.loads, lines)}
    assert {row: entry["reason"] for row, entry in found.items()} == {
        12: "killed its worker",
        26: "extraction failed",
    }
    data = Path(path).read_bytes()
    assert data[found[12]["offset"] :].startswith(b"11,2020")

    (tmp_path / "rejects.jsonl").unlink()
    code, output = run(tmp_path, "run-csv", path, *options, **environment)
    assert "counted already" in output
    assert sorted((tmp_path / "rejects.jsonl").read_text().splitlines()) == sorted(lines)


@pytest.mark.slow
def test_an_endless_article_is_rejected_while_the_other_worker_goes_on(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    """When it is found, all the other batches are counted already."""
    model = make_deadly_model(tmp_path)
    pairs = [("P", TEXT.format(i)) for i in range(400)]
    pairs[11] = ("P", "This is ENDLESS.")
    path = write_csv(pairs)
    log = tmp_path / "log.jsonl"
    options = ["--workers", "2", "--batch-bytes", "1000", "--model", model, "--batch-timeout", "20"]
    options += ["--flush-interval", "0.1"]
    options += ["--log-level", "debug", "--log-format", "json", "--log-file", str(log)]
    code, output = run(tmp_path, "run-csv", path, *options, PYTHONPATH=python_path(tmp_path))
    assert code == 0, output
    assert content(tmp_path / "daskingest.db")[0] == {"p": 399}
    assert "rejected  1 took too long" in output
    [line] = (tmp_path / "rejects.jsonl").read_text().splitlines()
    assert json.loads(line)["row"] == 12
    messages = [json.loads(each)["event"] for each in log.read_text().splitlines()]
    stored = [n for n, each in enumerate(messages) if "in the store" in each and "." not in each]
    [rejected] = [n for n, each in enumerate(messages) if "rejecting its article" in each]
    assert len(stored) > 20
    assert max(stored) < rejected


@pytest.mark.slow
def test_workers_that_are_told_to_go_reject_nothing(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    """Whatever happens to its workers, an article that takes its time is no poison."""
    path = write_csv([("P", TEXT.format(i) * 400) for i in range(200)])
    file = tmp_path / "scheduler.json"
    with dask_process("scheduler", "--port", "0", "--scheduler-file", str(file)):
        until(file.exists)
        address = str(json.loads(file.read_text())["address"])
        worker = ["worker", address, "--nthreads", "1", "--resources"]
        with dask_process(*worker, "saver=1"):
            program: Program | None = None
            for _ in range(4):
                with dask_process(*worker, "extract=1") as process:
                    if program is None:
                        until(lambda: has_workers(address))
                        options = ["--scheduler", address, "--batch-bytes", "400000"]
                        options += ["--flush-interval", "0.2"]
                        program = Program(tmp_path, "run-csv", path, *options)
                    store = tmp_path / "daskingest.db"
                    before = ledger(store)
                    until(lambda: ledger(store) > before)
                    process.terminate()
                    process.wait()
            assert program is not None
            with dask_process(*worker, "extract=1"):
                assert program.wait() == 0, program.output
    assert content(store)[0] == {"p": 200}
    assert "rejects" not in program.output.replace("0 rejects", "")


def test_the_store_goes_away_and_comes_back(write_csv: Callable[..., str], tmp_path: Path) -> None:
    """The store's folder is moved, so that it can't be written, and the saver is killed."""
    home = tmp_path / "home"
    home.mkdir()
    path = write_csv([("P", TEXT.format(i)) for i in range(300)])
    store = home / "a.db"
    program = Program(
        tmp_path,
        *("run-csv", path, "--workers", "2", "--batch-bytes", "2000", "--flush-interval", "0.1"),
        *("--store", f"sqlite:///{store}"),
    )
    until(lambda: ledger(store) > 2)
    saver = program.saver()
    home.rename(tmp_path / "away")
    if saver is not None:
        kill(saver)
    until(lambda: "waiting: cannot" in program.output or program.process.poll() is not None)
    (tmp_path / "away").rename(home)
    assert program.wait() == 0, program.output
    assert content(store)[0] == {"p": 300}
