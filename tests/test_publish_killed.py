"""`daskingest publish` as a process that is killed, again and again, until all is published."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from emulated import Proxy, Refused, by_month, content
from program import Program, run, until

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.stores import open_store

SMALL_COMMITS = """
import sys
from daskingest.__main__ import main
from daskingest.publishing import sending
sending.MOST = 20
main()
"""


def fill(url: str, number: int, words: int) -> None:
    counts = Counts()
    for name in ("The Post", "The Times"):
        counts.add_article(name, [(f"word {number} {i}", "ORG") for i in range(words)])
        some = [(f"word {number} {i}", "GPE") for i in range(0, words, 3)]
        counts.add_article(name, some, 557 + number % 3)
    with open_store(url, create=True) as store:
        store.commit(counts.packed(), {BatchId("r", str(number)): Counted()})


class Killer:
    """Kills the program at a random moment while, before or after a commit."""

    def __init__(self, seed: int) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.draw()

    def draw(self) -> None:
        """Choose the next moment."""
        self._left = self._random.randint(1, 6)
        self._when = self._random.choice(["before", "after", "while", "later"])
        self._pause = self._random.random() * 0.02

    def __call__(self, commit: Callable[[], bytes]) -> bytes:
        with self._lock:
            self._left -= 1
            process, when = self.process, self._when if self._left == 0 else ""
        if process is None or not when:
            return commit()
        if when == "before":
            self._kill(process)
            raise Refused(grpc.StatusCode.UNAVAILABLE)
        if when == "while":
            threading.Timer(self._pause, self._kill, [process]).start()
            return commit()
        answer = commit()
        if when == "later":
            threading.Timer(self._pause, self._kill, [process]).start()
            return answer
        self._kill(process)
        return answer

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_publish_that_is_killed_goes_on(
    tmp_path: Path, firestore_url: str, proxy: Proxy, kills: int
) -> None:
    source = f"sqlite:///{tmp_path}/source.db"
    fill(source, 0, 150 * kills)
    proxy.fault = killer = Killer(kills)
    command = [sys.executable, "-c", SMALL_COMMITS, "publish", "--to", firestore_url]
    killed = rounds = 0
    while True:
        if rounds % 3 == 2:
            fill(source, rounds, 10)  # there are new counts each time
        killer.draw()
        with subprocess.Popen([*command, "--from", source], cwd=tmp_path) as process:
            killer.process = process if killed < kills else None
            code = process.wait(120)
        rounds += 1
        if code == 0 and killed == kills:
            break
        killed += code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL)
        assert rounds < 5 * kills
    assert content(firestore_url) == content(source)
    assert by_month(firestore_url) == by_month(source) != {}
    code, output = run(tmp_path, "publish", "--to", firestore_url, "--from", source)
    assert code == 0, output
    assert "had all counts already" in output


@pytest.mark.slow
def test_an_interrupted_publish_says_so_and_goes_on(
    tmp_path: Path, firestore_url: str, proxy: Proxy
) -> None:
    source = f"sqlite:///{tmp_path}/source.db"
    fill(source, 0, 6_000)
    options = ["publish", "--from", source, "--to", firestore_url]
    code, output = run(tmp_path, *options, "--dry-run")
    assert code == 0, output
    assert "12,000 words and 2 publications to publish to firestore://test-" in output
    assert "12,008 writes to an emulator, which cost nothing" in output
    program = Program(tmp_path, *options)
    until(lambda: "publishing to firestore" in program.output)
    program.interrupt()
    assert program.wait() == 130, program.output
    assert "documents are left" in program.output
    assert "interrupted; run the same command again to go on" in program.output
    assert "Traceback" not in program.output
    code, output = run(tmp_path, *options)
    assert code == 0, output
    assert content(firestore_url) == content(source)
