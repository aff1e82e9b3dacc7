"""A scheduler that is lost, and workers that are missing: told, waited for, and nothing is lost."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from clusters import dask_process, has_workers
from program import HTTP, Program, Server, content, free_port, ledger, until

from daskingest.stores import open_store

TEXT = "Angela Merkel met Barack Obama in Berlin, take {}."
OPTIONS = ("--batch-bytes", "3000", "--flush-interval", "0.1", "--no-progress")


class Cluster:
    """A scheduler at an address that stays the same, and its workers."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it with a worker of each kind. The end is kill -9, of all of it."""
        with ExitStack() as stack:
            stack.enter_context(self.scheduler())
            for resource in ("extract", "saver"):
                stack.enter_context(self.worker(resource))
            until(lambda: has_workers(self.address))
            yield

    def scheduler(self) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Its scheduler."""
        return dask_process("scheduler", "--port", str(self.port))

    def worker(self, resource: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """A worker with a resource."""
        options = ["--nthreads", "1", "--resources", f"{resource}=1"]
        return dask_process("worker", self.address, *options)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def long_file(write_csv: Callable[..., str]) -> str:
    return write_csv([("P", TEXT.format(i) * 20) for i in range(600)])


def test_a_run_ends_with_one_line(
    cluster: Cluster, write_csv: Callable[..., str], tmp_path: Path
) -> None:
    store = tmp_path / "daskingest.db"
    path = write_csv([("P", TEXT.format(i) * 20) for i in range(3000)])
    with cluster.running():
        program = Program(tmp_path, "run-csv", path, "--scheduler", cluster.address, *OPTIONS)
        until(lambda: ledger(store) > 3)
    assert program.wait() == 1
    lines = program.output.splitlines()
    assert lines[-1] == (
        "error: the connection to the Dask scheduler was lost; what was counted is kept; run the "
        "same command to resume"
    )
    assert not any("Traceback" in each or "Error" in each.split("(")[0] for each in lines), lines
    assert ledger(store) < 1000


@pytest.mark.slow
def test_a_run_waits_for_another_scheduler(
    cluster: Cluster, long_file: str, tmp_path: Path
) -> None:
    store = tmp_path / "daskingest.db"
    options = ["--scheduler", cluster.address, "--wait-for-scheduler", "100"]
    program = Program(tmp_path, "run-csv", long_file, *options, *OPTIONS)
    until(lambda: "waiting: no Dask scheduler" in program.output)  # at the start, too
    with cluster.running():
        until(lambda: ledger(store) > 3)
    until(lambda: "was lost; waiting for one" in program.output)
    with cluster.running():
        assert program.wait() == 0, program.output
    assert content(store)[0] == {"p": 600}
    assert "Traceback" not in program.output


@pytest.mark.slow
def test_a_run_gives_up_waiting(cluster: Cluster, long_file: str, tmp_path: Path) -> None:
    store = tmp_path / "daskingest.db"
    with cluster.running():
        options = ["--scheduler", cluster.address, "--wait-for-scheduler", "2"]
        program = Program(tmp_path, "run-csv", long_file, *options, *OPTIONS)
        until(lambda: ledger(store) > 3)
    assert program.wait() == 1
    assert "no Dask scheduler at" in program.output.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("lacking", ["extract", "saver"])
def test_missing_workers_are_told_and_given_up(
    cluster: Cluster, long_file: str, tmp_path: Path, lacking: str
) -> None:
    [other] = {"extract", "saver"} - {lacking}
    store = tmp_path / "daskingest.db"
    with cluster.scheduler(), cluster.worker(other):
        with cluster.worker(lacking):
            until(lambda: has_workers(cluster.address))
            options = ["--scheduler", cluster.address, "--wait-for-workers", "6"]
            program = Program(tmp_path, "run-csv", long_file, *options, *OPTIONS)
            until(lambda: ledger(store) > 3)
        assert program.wait() == 1
        told = f"waiting: no worker with the resource '{lacking}' is ready; start one with"
        assert told in program.output
        assert "gave up after 6 seconds" in program.output.splitlines()[-1]
        with cluster.worker(lacking):
            again = Program(tmp_path, "run-csv", long_file, *options, *OPTIONS)
            assert again.wait() == 0, again.output
    assert content(store)[0] == {"p": 600}


def test_the_service_takes_articles_meanwhile(cluster: Cluster, tmp_path: Path) -> None:
    def send(server: Server, first: int) -> None:
        for number in range(first, first + 20):
            article = {"content": TEXT.format(number), "publication": "P"}
            assert HTTP.post(server.url + "/articles", json=article).status_code == 202

    def ready(server: Server) -> str:
        return str(HTTP.get(server.url + "/readyz").json()["status"])

    with cluster.running():
        server = Server(tmp_path, "--scheduler", cluster.address, "--flush-interval", "0.1")
        server.wait_until_ready()
        send(server, 0)
        until(lambda: content(server.store)[0].get("p", 0) > 0)
        send(server, 20)
    until(lambda: "no Dask scheduler at" in ready(server))
    send(server, 40)
    assert server.status()["spool"]["articles"] >= 20
    with cluster.running():
        until(lambda: ready(server) == "ready")
        send(server, 60)
        server.wait_until_saved()
        assert content(server.store)[0] == {"p": 80}
        assert server.status()["dashboard"] == "" or "http" in server.status()["dashboard"]
        assert server.stop() == 0
    assert "Traceback" not in server.output


def test_a_service_whose_spool_is_counted_elsewhere_ends(cluster: Cluster, tmp_path: Path) -> None:
    """It was copied, and the copy was started while this one had no scheduler."""
    with cluster.running():
        server = Server(tmp_path, "--scheduler", cluster.address, "--flush-interval", "0.1")
        server.wait_until_ready()
        article = {"content": TEXT.format(1), "publication": "P"}
        assert HTTP.post(server.url + "/articles", json=article).status_code == 202
        server.wait_until_saved()
    until(lambda: not server.answers("/readyz"))
    with open_store(f"sqlite:///{server.store}", create=True) as store:
        with closing(sqlite3.connect(server.store)) as db:
            [(run,)] = db.execute("SELECT run FROM runs").fetchall()
        store.take_over(run, "the copy's")
    with cluster.running():
        assert server.wait() == 1
    assert "another daskingest" in server.output.splitlines()[-1]
