"""Complete runs as a user sees them: real processes, killed at real moments."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from program import Program, StoreContent, content, kill, ledger, reference, run, until

from daskingest.errors import UsageError
from daskingest.pipeline.run import Run
from daskingest.progress import Progress
from daskingest.settings import Settings

SMALL = ["--workers", "2", "--batch-bytes", "3000", "--flush-interval", "0.3"]
"""Many batches and many commits from a small file."""


@pytest.fixture
def expected(sample_counts: StoreContent) -> StoreContent:
    return sample_counts


def test_counts_are_those_of_spacy(sample: Path, tmp_path: Path, expected: StoreContent) -> None:
    code, output = run(tmp_path, "run-csv", str(sample), *SMALL)
    assert code == 0, output
    assert content(tmp_path / "daskingest.db") == expected
    assert "64 = 64 articles + 0 rejects (all rows accounted for)" in output
    assert "dashboard: http://127.0.0.1:" in output

    code, output = run(tmp_path, "run-csv", str(sample))
    assert code == 0, output
    assert "counted already" in output
    assert "starting the cluster" not in output
    assert content(tmp_path / "daskingest.db") == expected


@pytest.mark.slow
def test_a_run_may_go_on_with_the_other_recognizer(
    sample: Path, tmp_path: Path, expected: StoreContent
) -> None:
    code, output = run(
        tmp_path, "run-csv", str(sample), *SMALL, "--recognizer", "spacy", "--limit", "40"
    )
    assert code == 0, output
    code, output = run(tmp_path, "run-csv", str(sample), *SMALL, "--recognizer", "fast")
    assert code == 0, output
    assert content(tmp_path / "daskingest.db") == expected


def test_the_workers_are_told_which_recognizer(sample: Path, tmp_path: Path) -> None:
    settings = Settings(
        store=f"sqlite:///{tmp_path / 'a.db'}",
        rejects=str(tmp_path / "rejects.jsonl"),
        workers=1,
        recognizer="quick",  # type: ignore[arg-type]
    )
    with pytest.raises(UsageError, match=r"the workers cannot load .*'quick'"):
        asyncio.run(Run([str(sample)], settings, Progress())())


@pytest.mark.slow
def test_counts_of_real_articles(real_articles: Path, tmp_path: Path) -> None:
    code, output = run(tmp_path, "run-csv", str(real_articles), "--workers", "2")
    assert code == 0, output
    assert content(tmp_path / "daskingest.db") == reference(real_articles)


@pytest.mark.parametrize("victim", ["worker", "saver"])
def test_killed_processes_cost_nothing(
    sample: Path, tmp_path: Path, expected: StoreContent, victim: str
) -> None:
    program = Program(tmp_path, "run-csv", str(sample), *SMALL)
    store = tmp_path / "daskingest.db"
    for kills in range(1, 3):
        until(lambda: ledger(store) > 4 * kills or program.process.poll() is not None)
        saver = program.saver()
        if victim == "saver" and saver is not None:
            kill(saver)
        elif victim == "worker":
            others = [each for each in program.workers() if each != saver]
            if others:
                kill(random.choice(others))
    assert program.wait() == 0, program.output
    program.wait_for_the_family_s_end()
    assert content(store) == expected


def test_a_killed_program_resumes(
    long_file: Path, tmp_path: Path, long_expected: StoreContent
) -> None:
    store = tmp_path / "daskingest.db"
    for workers in ("2", "1", "3"):
        before = ledger(store)
        program = Program(tmp_path, "run-csv", str(long_file), *SMALL[2:], "--workers", workers)
        until(lambda: ledger(store) > before + 1 or program.process.poll() is not None)
        program.kill_with_family()
    code, output = run(tmp_path, "run-csv", str(long_file), "--workers", "2")
    assert code == 0, output
    assert "continuing with batches of 3,000 bytes" in output
    assert content(store) == long_expected


def test_the_first_interrupt_finishes_what_is_in_flight(
    long_file: Path, tmp_path: Path, long_expected: StoreContent
) -> None:
    store = tmp_path / "daskingest.db"
    program = Program(tmp_path, "run-csv", str(long_file), *SMALL)
    until(lambda: ledger(store) > 4)
    program.interrupt()
    assert program.wait() == 130, program.output
    program.wait_for_the_family_s_end()
    assert "run the same command again to resume" in program.output
    assert "Traceback" not in program.output
    assert sum(content(store)[0].values()) < 10 * 64
    assert run(tmp_path, "run-csv", str(long_file), *SMALL)[0] == 0
    assert content(store) == long_expected


@pytest.mark.parametrize("how", ["twice", pytest.param("terminate", marks=pytest.mark.slow)])
def test_the_second_interrupt_stops_at_once(
    long_file: Path, tmp_path: Path, long_expected: StoreContent, how: str
) -> None:
    store = tmp_path / "daskingest.db"
    program = Program(tmp_path, "run-csv", str(long_file), *SMALL)
    until(lambda: ledger(store) > 2)
    program.family()
    if how == "twice":
        program.interrupt()
        until(lambda: "Ctrl-C again" in program.output)
        program.interrupt()
    else:
        program.process.send_signal(signal.SIGTERM)
    assert program.wait() == 130, program.output
    program.wait_for_the_family_s_end()
    assert "Traceback" not in program.output
    assert "leaked" not in program.output
    assert run(tmp_path, "run-csv", str(long_file), *SMALL)[0] == 0
    assert content(store) == long_expected


@pytest.mark.slow
def test_a_limit_and_the_rest(sample: Path, tmp_path: Path, expected: StoreContent) -> None:
    store = tmp_path / "daskingest.db"
    for limit, total in ((10, 10), (25, 25), (10, 25), (40, 40)):
        code, output = run(tmp_path, "run-csv", str(sample), *SMALL, "--limit", str(limit))
        assert code == 0, output
        assert sum(content(store)[0].values()) == total
        assert "counted up to the limit" in output
    assert run(tmp_path, "run-csv", str(sample), *SMALL)[0] == 0
    assert content(store) == expected


def test_rejects_are_written_once_whatever_happens(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    pairs = [("The Post", f"Barack Obama met Angela Merkel in Paris, take {i}.") for i in range(40)]
    for i in (3, 17, 30):
        pairs[i] = ("The Post", "")
    path = write_csv(pairs)
    code, output = run(tmp_path, "run-csv", path, "--workers", "1", "--batch-bytes", "500")
    assert code == 0, output
    assert "40 = 37 articles + 3 rejects" in output
    assert "rejected  3 no content" in output
    rejects = tmp_path / "rejects.jsonl"
    lines = rejects.read_text().splitlines()
    data = Path(path).read_bytes()
    for line, i in zip(
        sorted(lines, key=lambda each: json.loads(each)["row"]), (3, 17, 30), strict=True
    ):
        entry = json.loads(line)
        assert entry["row"] == i + 1
        assert entry["file"] == path
        assert data[entry["offset"] :].startswith(f"{i},2020".encode())
    # A crash may have kept the last lines from being written, or cut one off.
    rejects.write_text(lines[0] + "\n" + lines[1][:10])
    code, output = run(tmp_path, "run-csv", path, "--strict")
    assert code == 3, output
    assert sorted(rejects.read_text().splitlines()) == sorted(lines)


@pytest.mark.slow
def test_an_edited_file_is_refused_and_a_grown_one_goes_on(
    sample: Path, tmp_path: Path, expected: StoreContent
) -> None:
    store, whole = tmp_path / "daskingest.db", sample.read_bytes()
    path = tmp_path / "articles.csv"
    cut = whole.index(b"\n", 60_000) + 1
    while whole[:cut].count(b'"') % 2:  # within a field
        cut = whole.index(b"\n", cut) + 1
    path.write_bytes(whole[:cut])
    assert run(tmp_path, "run-csv", str(path), *SMALL)[0] == 0
    at = whole.index(b" the ", 30_000)
    path.write_bytes(whole[:at] + b" THE " + whole[at + 5 : cut])
    before = content(store)
    code, output = run(tmp_path, "run-csv", str(path))
    assert code == 2, output
    assert f"{path} has changed since it was counted: bytes " in output
    assert "Traceback" not in output
    assert content(store) == before
    path.write_bytes(whole)
    code, output = run(tmp_path, "run-csv", str(path), *SMALL)
    assert code == 0, output
    assert "has grown by" in output
    assert "64 = 64 articles + 0 rejects (all rows accounted for)" in output
    assert content(store) == expected
    assert "counted already" in run(tmp_path, "run-csv", str(path))[1]


@pytest.mark.slow
def test_what_is_appended_while_a_file_is_read_counts_next_time(
    long_file: Path, tmp_path: Path, long_expected: StoreContent
) -> None:
    store = tmp_path / "daskingest.db"
    whole = long_file.read_bytes()
    row = b"1,,,,,,,,Nothing here.,,,The Post\n"
    program = Program(tmp_path, "run-csv", str(long_file), *SMALL)
    until(lambda: ledger(store) > 2)
    long_file.write_bytes(whole + row)
    assert program.wait() == 0, program.output
    assert "while it was being counted: run the same command again" in program.output
    assert content(store) == long_expected
    code, output = run(tmp_path, "run-csv", str(long_file), *SMALL)
    assert code == 0, output
    assert sum(content(store)[0].values()) == 641
    assert "641 = " in output


@pytest.mark.slow
@pytest.mark.parametrize("interrupted", [False, True])
def test_rejects_that_cannot_be_written_are_waited_for(
    write_csv: Callable[..., str], tmp_path: Path, interrupted: bool
) -> None:
    pairs = [("The Post", f"Barack Obama met Angela Merkel in Paris, take {i}.") for i in range(40)]
    pairs[3] = pairs[30] = ("The Post", "")
    path, rejects = write_csv(pairs), tmp_path / "rejects.jsonl"
    program = Program(tmp_path, "run-csv", path, "--workers", "1", "--batch-bytes", "500")
    until(lambda: "starting the cluster" in program.output)
    rejects.mkdir()
    until(lambda: "waiting: cannot write rejects" in program.output)
    if interrupted:
        program.interrupt()
        assert program.wait() == 130, program.output
        assert "were not written; when there is space, run the same" in program.output
    rejects.rmdir()
    if interrupted:
        assert run(tmp_path, "run-csv", path)[0] == 0
    else:
        assert program.wait() == 0, program.output
    assert sorted(json.loads(line)["row"] for line in rejects.read_text().splitlines()) == [4, 31]


@pytest.mark.slow
def test_dask_s_report_of_a_run(tmp_path: Path, sample: Path) -> None:
    options = ["run-csv", str(sample), "--workers", "1", "--store", f"sqlite:///{tmp_path}/s.db"]
    code, output = run(tmp_path, *options, "--performance-report", str(tmp_path / "no" / "r.html"))
    assert code == 2
    assert "cannot write the performance report" in output
    code, output = run(tmp_path, *options, "--performance-report", "r.html")
    assert code == 0, output
    assert "Dask Performance Report" in (tmp_path / "r.html").read_text()


def test_articles_are_counted_by_month(tmp_path: Path) -> None:
    """Those that have a date; what was begun without dates is not gone on with by month."""
    rows = ["article,publication,date"]
    rows += [f"Angela Merkel met {name}.,P,{date}" for name, date in DATED]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    url = f"sqlite:///{tmp_path}/s.db"
    code, output = run(tmp_path, "run-csv", "a.csv", "--store", url, "--limit", "2", "--no-dates")
    assert code == 0, output
    code, output = run(tmp_path, "run-csv", "a.csv", "--store", url)
    assert code == 2
    assert "begun without dates" in output
    assert "--no-dates" in output
    url = f"sqlite:///{tmp_path}/dated.db"
    code, output = run(tmp_path, "run-csv", "a.csv", "--store", url)
    assert code == 0, output
    assert "3 articles counted by month, too; 1 have no date that can be read" in output
    with closing(sqlite3.connect(tmp_path / "dated.db")) as db:
        query = "SELECT month, count FROM months WHERE word = 'angela merkel' ORDER BY month"
        assert db.execute(query).fetchall() == [("2016-06-01", 2), ("2016-07-01", 1)]
        assert db.execute("SELECT count FROM words WHERE word = 'angela merkel'").fetchone() == (4,)


DATED = [
    ("Barack Obama", "2016-06-09"),
    ("Barack Obama", "2016-06-30 12:00"),
    ("Theresa May", "2016-07-13"),
    ("nobody", "some day"),
]
