"""Runs of files in every format, as a user sees them: real processes, killed at real moments."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from program import Program, StoreContent, content, ledger, reference, run, until

SMALL = ["--workers", "2", "--batch-bytes", "3000", "--flush-interval", "0.3"]


@pytest.fixture(scope="session")
def expected() -> StoreContent:
    return reference(Path(__file__).parent.parent / "daskingest" / "sample.csv")


def converted(sample: Path, path: Path, times: int = 1, encoding: str = "utf-8") -> Path:
    """The sample so many times over, and three rows that are no articles."""
    with sample.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file)) * times
    for at in (7, 20, 40):
        rows.insert(at, dict.fromkeys(rows[0], ""))
    if path.suffix == ".parquet":
        columns = {name: pa.array([each[name] for each in rows]) for name in rows[0]}
        pq.write_table(pa.table(columns), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    else:
        with path.open("w", newline="", encoding=encoding) as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


def rejects_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "rejects.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_format_has_the_same_counts_and_rejects(
    sample: Path, tmp_path: Path, expected: StoreContent, ending: str
) -> None:
    path = converted(sample, tmp_path / f"a.{ending}")
    code, output = run(tmp_path, "run", str(path), *SMALL)
    assert code == 0, output
    assert content(tmp_path / "daskingest.db") == expected
    assert "67 = 64 articles + 3 rejects (all rows accounted for)" in output
    found = [(each["row"], each["reason"]) for each in rejects_of(tmp_path)]
    assert sorted(found) == [(8, "no content"), (21, "no content"), (41, "no content")]
    if ending == "parquet":
        assert sorted(each["offset"] for each in rejects_of(tmp_path)) == [7, 20, 40]
    code, output = run(tmp_path, "run", str(path), *SMALL)
    assert "counted already" in output


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "jsonl", "utf-16.csv"])
def test_a_killed_program_resumes(
    sample: Path, tmp_path: Path, expected: StoreContent, ending: str
) -> None:
    store, times = tmp_path / "daskingest.db", 10
    encoded = ending.startswith("utf-16")
    path = converted(
        sample, tmp_path / f"a.{ending}", times, encoding="utf-16" if encoded else "utf-8"
    )
    options = [*SMALL[2:], *(["--encoding", "utf-16"] if encoded else [])]
    for workers in ("2", "1", "3"):
        before = ledger(store)
        program = Program(tmp_path, "run", str(path), *options, "--workers", workers)
        until(lambda: ledger(store) > before + 1 or program.process.poll() is not None)
        program.kill_with_family()
    if encoded:
        code, output = run(tmp_path, "run", str(path), "--encoding", "utf-16-le")
        assert code == 2
        assert "was begun with the --encoding 'utf-16'; with 'utf-16-le'" in output
    code, output = run(tmp_path, "run", str(path), *options, "--workers", "2")
    assert code == 0, output
    articles, counts = expected
    assert content(store) == (
        {key: times * count for key, count in articles.items()},
        Counter({key: times * count for key, count in counts.items()}),
    )
    assert len(rejects_of(tmp_path)) == 3


@pytest.mark.slow
def test_a_parquet_file_that_is_written_anew(
    sample: Path, tmp_path: Path, expected: StoreContent
) -> None:
    path = converted(sample, tmp_path / "a.parquet")
    whole = pq.read_table(path)
    pq.write_table(whole.slice(0, 50), path)
    assert run(tmp_path, "run", str(path), *SMALL)[0] == 0
    pq.write_table(whole, path)
    code, output = run(tmp_path, "run", str(path), *SMALL)
    assert code == 0, output
    assert "has grown" in output
    assert content(tmp_path / "daskingest.db") == expected
    edited = whole.to_pylist()
    edited[30]["article"] += " Edited."
    pq.write_table(pa.Table.from_pylist(edited), path)
    code, output = run(tmp_path, "run", str(path), *SMALL)
    assert code == 2, output
    assert "has changed since it was counted: rows 3" in output
    assert content(tmp_path / "daskingest.db") == expected


def test_run_csv_says_what_counts_other_formats(sample: Path, tmp_path: Path) -> None:
    path = converted(sample, tmp_path / "a.jsonl")
    code, output = run(tmp_path, "run-csv", str(path), *SMALL)
    assert code == 2
    [line] = output.splitlines()
    assert line == f"error: {path} is JSON Lines, and run-csv takes CSV alone: use `daskingest run`"
