"""The driver on real workers, with batches that kill them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from models import make_deadly_model
from program import Program, content, kill, ledger, run, until

TEXT = "Angela Merkel met Barack Obama in Berlin, take {}."


def test_a_poison_article_is_rejected_and_its_neighbours_are_counted(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    model = make_deadly_model(tmp_path)
    pairs = [("P", TEXT.format(i)) for i in range(40)]
    pairs[11] = ("P", "This is POISON.")
    pairs[25] = ("P", "A MISTAKE, but not deadly.")
    path = write_csv(pairs)
    options = ["--workers", "2", "--batch-bytes", "1000", "--model", model, "--no-progress"]
    environment = {"PYTHONPATH": str(tmp_path)}
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
    assert "was counted already" in output
    assert sorted((tmp_path / "rejects.jsonl").read_text().splitlines()) == sorted(lines)


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
