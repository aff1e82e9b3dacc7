"""Stores that never answer: it is told, nothing is lost, and all goes on when they do."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import emulated
import pytest
from postgres import PASSWORD, Wire
from postgres import Server as Postgresql
from program import HTTP, Program, Server, content, until

from daskingest.cli.exit_codes import ExitCode
from daskingest.stores import open_store

TEXT = "Angela Merkel met Barack Obama in Berlin, take {}."
OPTIONS = ("--workers", "1", "--batch-bytes", "3000", "--flush-interval", "0.1", "--no-progress")
LOCKED = "database is locked: another program is writing to it, and has to end that first"
SILENT = "the store has not answered for 3 seconds"

pytestmark = pytest.mark.slow


@dataclass
class Silent:
    """A store, what makes it silent for a while, and what is told of that."""

    url: str
    silence: Callable[[], AbstractContextManager[None]]
    told: str

    @property
    def articles(self) -> dict[str, int]:
        """Those of each publication, by now."""
        if self.url.startswith("postgresql:"):
            return emulated.content(self.url)[0]
        return content(Path(self.url.removeprefix("sqlite:///")))[0]


@pytest.fixture
def impatient(tmp_path: Path) -> str:
    """The PYTHONPATH with which a program tells of silence after three seconds, not two minutes."""
    folder = tmp_path / "impatient"
    folder.mkdir()
    code = (
        "from daskingest.pipeline import store_thread\nstore_thread.LONG_SECONDS = 3.0\n"
        "from daskingest.stores import reading\nreading.ANSWER_SECONDS = 3.0\n"
    )
    (folder / "sitecustomize.py").write_text(code)
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Silent:
    if request.param == "postgresql":
        server: Postgresql = request.getfixturevalue("postgresql")
        return Silent(request.getfixturevalue("postgresql_url"), server.frozen, SILENT)
    path = tmp_path / "s.db"

    @contextmanager
    def locked() -> Iterator[None]:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            yield

    return Silent(f"sqlite:///{path}", locked, LOCKED)


def test_a_run_waits_for_a_store_that_does_not_answer(
    store: Silent, write_csv: Callable[..., str], tmp_path: Path, impatient: str
) -> None:
    path = write_csv([("P", TEXT.format(i) * 20) for i in range(300)])
    open_store(store.url, create=True).close()
    program = Program(
        tmp_path, "run-csv", path, "--store", store.url, *OPTIONS, PYTHONPATH=impatient
    )
    until(lambda: store.articles.get("p", 0) > 5 or program.process.poll() is not None)
    assert program.process.poll() is None, program.output
    with store.silence():
        until(lambda: f"{store.told}\n" in program.output)
        assert "\nwaiting: " in f"\n{program.output}"
        assert program.process.poll() is None
    assert program.wait() == 0, program.output
    assert store.articles == {"p": 300}
    assert "Traceback" not in program.output
    assert PASSWORD not in program.output


def test_a_service_takes_articles_meanwhile_and_stops_when_it_is_told_to(
    store: Silent, tmp_path: Path, impatient: str
) -> None:
    open_store(store.url, create=True).close()
    options = ("--store", store.url, "--flush-interval", "0.1", "--drain-timeout", "2")
    service = Server(tmp_path, *options, PYTHONPATH=impatient)
    service.wait_until_ready()

    def send(first: int) -> None:
        for number in range(first, first + 20):
            article = {"content": TEXT.format(number), "publication": "P"}
            assert HTTP.post(service.url + "/articles", json=article).status_code == 202

    def ready() -> str:
        return str(HTTP.get(service.url + "/readyz", timeout=60).json()["status"])

    send(0)
    service.wait_until_saved()
    with store.silence():
        send(20)
        until(lambda: store.told in ready())
        for _ in range(8):  # more than there are threads that read
            assert HTTP.get(service.url + "/publications", timeout=60).status_code in (200, 503)
    service.wait_until_saved()
    until(lambda: ready() == "ready")
    assert store.articles == {"p": 40}
    with store.silence():
        send(40)
        assert service.stop() in (0, 1), service.output
        service.wait_for_the_family_s_end()
    again = Server(tmp_path, *options, PYTHONPATH=impatient)
    again.wait_until_ready()
    again.wait_until_saved()
    assert again.stop() == 0
    assert store.articles == {"p": 60}
    assert "Traceback" not in again.output


@pytest.mark.parametrize("command", ["run-csv", "serve"])
def test_one_that_is_silent_at_the_start_is_told_and_waited_for(
    command: str,
    sample: Path,
    tmp_path: Path,
    postgresql: Postgresql,
    postgresql_url: str,
    impatient: str,
) -> None:
    """It has let somebody in, and answers no more: as one behind a pool of connections may."""
    wire = Wire(postgresql)
    wire.silent_at = b"pg_tables"
    store = ("--store", postgresql_url.replace(f":{postgresql.port}/", f":{wire.port}/"))
    if command == "serve":
        program: Program = Server(tmp_path, *store, PYTHONPATH=impatient)
    else:
        program = Program(tmp_path, command, str(sample), *OPTIONS, *store, PYTHONPATH=impatient)
    try:
        until(lambda: SILENT in program.output or program.process.poll() is not None)
        assert f"waiting: {SILENT}" in program.output
    finally:
        wire.talking.set()
    if isinstance(program, Server):
        program.wait_until_ready()
        assert program.stop() == 0
    else:
        assert program.wait() == 0, program.output
        assert emulated.content(postgresql_url)[0]
    wire.close()


def test_a_service_that_waits_for_one_at_its_start_stops_when_it_is_told_to(
    tmp_path: Path, postgresql: Postgresql, postgresql_url: str, impatient: str
) -> None:
    wire = Wire(postgresql)
    wire.silent_at = b"pg_tables"
    store = ("--store", postgresql_url.replace(f":{postgresql.port}/", f":{wire.port}/"))
    service = Server(tmp_path, *store, PYTHONPATH=impatient)
    try:
        until(lambda: SILENT in service.output or service.process.poll() is not None)
        assert service.stop() == ExitCode.INTERRUPTED
    finally:
        wire.talking.set()
    wire.close()


def test_one_that_lets_nobody_in_ends_a_command_with_one_line(
    sample: Path, tmp_path: Path, postgresql: Postgresql, postgresql_url: str
) -> None:
    wire = Wire(postgresql)
    wire.talking.clear()
    url = postgresql_url.replace(f":{postgresql.port}/", f":{wire.port}/")
    program = Program(tmp_path, "run-csv", str(sample), "--store", url)
    assert program.wait() == 1
    [line] = program.output.split("\n")[:1]
    assert line.startswith("error: cannot write to the store postgresql://")
    assert "connection timeout expired: check the host and the port" in line
    wire.talking.set()
    wire.close()
