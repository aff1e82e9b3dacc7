"""Clusters of real processes: `daskingest scheduler` and `daskingest worker`, and Dask's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from program import Program, free_port, kill, until

from daskingest.errors import UsageError
from daskingest.models import find_model
from daskingest.pipeline.connecting import survey

SCRIPT = Path(__file__).parent.parent / "cluster" / "certificates.sh"


def certificates(folder: Path, *names: str) -> dict[str, list[str]]:
    """The options that name the certificates of each of these, which one authority has signed."""
    subprocess.run([SCRIPT, folder, *names], check=True, stdout=subprocess.DEVNULL)
    return {
        name: [
            *("--tls-ca-file", str(folder / "ca.pem")),
            *("--tls-cert", str(folder / f"{name}.pem")),
            *("--tls-key", str(folder / f"{name}-key.pem")),
        ]
        for name in names
    }


@contextmanager
def member(
    folder: Path, *arguments: str, before: tuple[str, ...] = (), **environment: str
) -> Iterator[Program]:
    """A process of a cluster, until the context ends. `before` begins its command."""
    program = started(before, folder, *arguments, **environment)
    try:
        yield program
    finally:
        end(program)


def started(before: tuple[str, ...], folder: Path, *arguments: str, **environment: str) -> Program:
    """`daskingest` with something before the command, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    kind: type[Program] = type("Started", (Program,), {"BEFORE": before})
    return kind(folder, *arguments, **environment)


def end(program: Program) -> None:
    """Kill it with its family."""
    family = program.family()
    kill(psutil.Process(program.process.pid)) if program.process.poll() is None else None
    program.process.wait()
    for each in family:
        kill(each)


@contextmanager
def scheduler(folder: Path, *options: str, port: int = 0) -> Iterator[str]:
    """A scheduler on this machine, at that address."""
    port = port or free_port()
    local = ("--port", str(port), "--dashboard-address", "127.0.0.1:0")
    with member(folder, "scheduler", *local, *options) as program:
        until(lambda: "scheduling" in program.output or program.process.poll() is not None)
        assert program.process.poll() is None, program.output
        yield f"{'tls' if '--tls-cert' in options else 'tcp'}://127.0.0.1:{port}"


def joined(program: Program) -> int:
    """How often a worker of it has joined a scheduler."""
    return program.output.count("has joined")


def until_joined(*programs: Program, times: int = 1) -> None:
    """Wait until each has joined so often."""

    def all_have() -> bool:
        assert all(each.process.poll() is None for each in programs), programs[0].output
        return all(joined(each) >= times for each in programs)

    until(all_have)


def has_workers(address: str) -> bool:
    try:
        asyncio.run(survey(address, find_model()))
    except UsageError:
        return False
    return True


@contextmanager
def dask_process(
    *arguments: str, code: Path | None = None, before: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Dask's own `scheduler` or `worker`, on this machine. `code` is a folder with other code, and
    `before` begins its command.
    """
    local = ("--host", "127.0.0.1", "--no-dashboard")
    with subprocess.Popen(
        [*before, sys.executable, "-m", "dask", *arguments, *local],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=code,
        env={**os.environ, "PYTHONPATH": str(code)} if code else None,
    ) as process:
        try:
            yield process
        finally:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
            process.kill()


def in_a_container(place: Path) -> tuple[str, ...]:
    """What to begin a command with, for which another folder lies at this place."""
    apart = ("unshare", "-rm", "sh", "-c", f'mount -t tmpfs none {place} && exec "$@"', "sh")
    if shutil.which("unshare") is None or subprocess.call([*apart, "true"]):
        pytest.skip("this machine makes no namespaces")
    return apart
