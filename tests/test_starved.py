"""What an article is not blamed for, and what it is: time without the processor, and waiting."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from models import make_deadly_model, python_path
from program import Program, content, run, until

TEXT = "Angela Merkel met Barack Obama in Berlin, take {}."
OPTIONS = ("--workers", "2", "--batch-bytes", "1000", "--flush-interval", "0.1")

pytestmark = pytest.mark.slow


@contextmanager
def starved(program: Program) -> Iterator[None]:
    """Its workers have a tenth of a processor, as `cpulimit` does it: they are stopped for the rest
    of each fifth of a second."""
    ended = threading.Event()

    def starve() -> None:
        while not ended.is_set():
            workers = program.workers()
            for act, seconds in ((psutil.Process.suspend, 0.18), (psutil.Process.resume, 0.02)):
                for each in workers:
                    with suppress(psutil.NoSuchProcess):
                        act(each)
                time.sleep(seconds)

    thread = threading.Thread(target=starve)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_starved_machine_rejects_nothing(write_csv: Callable[..., str], tmp_path: Path) -> None:
    """Four seconds are allowed, and the article needs one of the processor: ten, as it is."""
    model = make_deadly_model(tmp_path)
    pairs = [("P", TEXT.format(i)) for i in range(40)]
    pairs[11] = ("P", "This is LABORIOUS.")
    options = [*OPTIONS, "--model", model, "--batch-timeout", "40"]
    path, variables = write_csv(pairs), {"PYTHONPATH": python_path(tmp_path)}
    program = Program(tmp_path, "run-csv", path, *options, **variables)
    until(lambda: len(program.workers()) == 3 or program.process.poll() is not None)
    with starved(program):
        until(lambda: "is taking long" in program.output or program.process.poll() is not None)
        assert program.wait() == 0, program.output
    assert "is taking long" in program.output
    assert content(tmp_path / "daskingest.db")[0] == {"p": 40}
    assert "0 rejects" in program.output


def test_an_article_that_waits_for_ever_is_rejected(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    """It takes nothing of the processor, and ten times as long as it may."""
    model = make_deadly_model(tmp_path)
    pairs = [("P", TEXT.format(i)) for i in range(40)]
    pairs[11] = ("P", "This is SLEEPY.")
    options = [*OPTIONS, "--model", model, "--batch-timeout", "10"]
    options[3] = "50"  # an article a batch
    path = write_csv(pairs)
    code, output = run(tmp_path, "run-csv", path, *options, PYTHONPATH=python_path(tmp_path))
    assert code == 0, output
    assert content(tmp_path / "daskingest.db")[0] == {"p": 39}
    assert "rejected  1 took too long" in output
    [line] = (tmp_path / "rejects.jsonl").read_text().splitlines()
    assert json.loads(line)["row"] == 12
