"""Programs that count into PostgreSQL, killed at any moment, as is the server: each counts once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from emulated import by_month, content
from postgres import PASSWORD, Server
from program import Program, StoreContent, kill, run, until
from program import Server as Service
from test_publish_killed import SMALL_COMMITS, fill

from daskingest.errors import StoreError

SMALL = ["--workers", "2", "--batch-bytes", "3000", "--flush-interval", "0.3"]
"""Many batches and many commits from a small file."""

pytestmark = pytest.mark.slow


@pytest.fixture
def expected(long_expected: StoreContent) -> StoreContent:
    return long_expected


@pytest.fixture
def ledger(postgresql: Server, postgresql_url: str) -> Callable[[], int]:
    """How many entries the store's ledger has by now."""
    database = postgresql_url.rpartition("/")[2]

    def entries() -> int:
        query = "SELECT to_regclass('daskingest.ledger') IS NOT NULL"
        if postgresql.execute(query, database) != [(True,)]:
            return 0
        [(found,)] = postgresql.execute("SELECT count(*) FROM daskingest.ledger", database)
        assert isinstance(found, int)
        return found

    return entries


def test_a_killed_saver_and_a_killed_worker_cost_nothing(
    long_file: Path,
    tmp_path: Path,
    postgresql_url: str,
    postgresql: Server,
    expected: StoreContent,
    ledger: Callable[[], int],
) -> None:
    program = Program(tmp_path, "run-csv", str(long_file), *SMALL, "--store", postgresql_url)
    killed = 0
    for goal in (4, 30, 60, 90):
        until(lambda goal=goal: ledger() > goal or program.process.poll() is not None)  # type: ignore[misc]
        if (saver := program.saver(postgresql.port)) is not None:
            kill(saver)
            killed += 1
    assert program.wait() == 0, program.output
    assert killed
    assert content(postgresql_url) == expected
    assert PASSWORD not in program.output


def test_a_killed_program_resumes(
    long_file: Path,
    tmp_path: Path,
    postgresql_url: str,
    expected: StoreContent,
    ledger: Callable[[], int],
) -> None:
    command = ["run-csv", str(long_file), "--store", postgresql_url]
    for workers in ("2", "1", "3"):
        before = ledger()
        program = Program(tmp_path, *command, *SMALL[2:], "--workers", workers)
        until(lambda before=before: ledger() > before + 1)  # type: ignore[misc]
        program.kill_with_family()
    code, output = run(tmp_path, *command, "--workers", "2")
    assert code == 0, output
    assert "continuing with batches of 3,000 bytes" in output
    assert content(postgresql_url) == expected
    code, output = run(tmp_path, *command)
    assert "counted already" in output


def test_a_run_waits_for_a_killed_server(
    long_file: Path,
    tmp_path: Path,
    postgresql_url: str,
    postgresql: Server,
    expected: StoreContent,
    ledger: Callable[[], int],
) -> None:
    program = Program(tmp_path, "run-csv", str(long_file), *SMALL, "--store", postgresql_url)
    try:
        for goal in (4, 40, 80):
            until(lambda goal=goal: ledger() > goal or program.process.poll() is not None)  # type: ignore[misc]
            postgresql.stop(at_once=True)
            if goal == 4:
                until(lambda: "that the server runs" in program.output)
            postgresql.start()
    finally:
        code = program.wait()
    assert code == 0, program.output
    assert "Traceback" not in program.output
    assert PASSWORD not in program.output
    assert content(postgresql_url) == expected


def test_of_two_programs_the_later_one_goes_on(
    long_file: Path,
    tmp_path: Path,
    postgresql_url: str,
    expected: StoreContent,
    ledger: Callable[[], int],
) -> None:
    command = ["run-csv", str(long_file), *SMALL, "--store", postgresql_url]
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first = Program(tmp_path / "first", *command)
    until(lambda: ledger() > 2)
    with first.suspended():  # or it might be done before the other has begun
        second = Program(tmp_path / "second", *command)
        until(lambda: "counting" in second.output)
        before = ledger()
        until(lambda: ledger() > before + 9)
    assert first.wait() == 1, first.output
    assert "another daskingest, started later, is counting the same articles" in first.output
    assert second.wait() == 0, second.output
    assert content(postgresql_url) == expected


def test_a_killed_publish_goes_on_and_waits_for_the_server(
    tmp_path: Path, postgresql_url: str, postgresql: Server
) -> None:
    source = f"sqlite:///{tmp_path}/source.db"
    for number in range(10):
        fill(source, number, 100)
    command = ["publish", "--from", source, "--to", postgresql_url]

    class Slowly(Program):
        START = ("-c", SMALL_COMMITS)

    seen = content_now(postgresql_url)
    for _ in range(3):
        program = Slowly(tmp_path, *command)
        until(lambda before=seen: content_now(postgresql_url) > before)  # type: ignore[misc]
        program.process.kill()
        program.process.wait()
        seen = content_now(postgresql_url)
    program = Slowly(tmp_path, *command)
    until(lambda: content_now(postgresql_url) > seen)
    postgresql.stop(at_once=True)
    postgresql.start()
    assert program.wait() == 0, program.output
    assert content(postgresql_url) == content(source)
    assert by_month(postgresql_url) == by_month(source) != {}
    code, output = run(tmp_path, *command)
    assert code == 0
    assert "had all counts already" in output
    assert PASSWORD not in output + program.output


def content_now(url: str) -> int:
    """How many words a store has by now, or none."""
    try:
        return len(content(url)[1])
    except StoreError:
        return 0


def test_a_service_takes_articles_while_the_server_is_away(
    sample: Path,
    tmp_path: Path,
    postgresql_url: str,
    postgresql: Server,
    sample_counts: StoreContent,
) -> None:
    service = Service(tmp_path, "--store", postgresql_url, "--workers", "1")
    service.wait_until_ready()
    postgresql.stop(at_once=True)
    try:
        command = ["upload", str(sample), "--url", service.url]
        code, output = run(tmp_path, *command)
        assert code == 0, output
    finally:
        postgresql.start()
    service.wait_until_saved()
    service.stop()
    assert content(postgresql_url) == sample_counts
