"""How long each page takes over a large store, and what looking at pages costs a run."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import httpx
import pytest
from program import Program, free_port, run, until

from daskingest.benchmarks import growth, pages, reading
from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.stores import open_store

PUBLICATIONS, WORDS = 500, 2_000
LABELS = ("GPE", "LOC", "NORP", "ORG", "PERSON", "PRODUCT")
TURNS = 40


def large_store(path: Path) -> str:
    """A million words: 2,000 of each of 500 publications, some frequent, most rare."""
    url = f"sqlite:///{path}"
    source = random.Random(0)
    with open_store(url, create=True) as store:
        for number in range(PUBLICATIONS):
            counts = Counts()
            words = [f"word {source.randrange(200_000)}" for _ in range(WORDS)]
            found = [
                (word, label)
                for rank, (word, label) in enumerate(zip(words, itertools.cycle(LABELS)), 1)
                for _ in range(max(1, 500 // rank))
            ]
            counts.add_article(f"Publication {number}", found)
            store.commit(counts.packed(), {BatchId("made", str(number)): Counted()})
    return url


class Explorer:
    """`daskingest explore` over a store."""

    def __init__(self, folder: Path, url: str) -> None:
        port = free_port()
        self.program = Program(folder, "explore", "--store", url, "--port", str(port))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        until(self._answers)

    def _answers(self) -> bool:
        assert self.program.process.poll() is None, self.program.output
        try:
            return self.client.get("/").is_success
        except httpx.HTTPError:
            return False

    def seconds(self, path: str) -> float:
        started = time.perf_counter()
        self.client.get(path).raise_for_status()
        return time.perf_counter() - started

    def close(self) -> None:
        self.client.close()
        self.program.interrupt()
        self.program.wait()


def news_store(path: Path) -> str:
    """Two million words of 27 publications, as real news have them: of the largest, 600,000."""
    growth.measure(path, growth.flushes(2_000_000, 640))
    return f"sqlite:///{path}"


@pytest.mark.slow
@pytest.mark.parametrize("write", ["large_store", "news_store"])
def test_pages_over_large_stores(write: str, tmp_path: Path) -> None:
    url = globals()[write](tmp_path / "large.db")
    with pages.explorer(url) as (address, process):
        for each in pages.measure(address, process, url, TURNS):
            print(each)


@pytest.mark.slow
@pytest.mark.parametrize("written", [False, True])
def test_each_kind_of_query(written: bool, tmp_path: Path) -> None:
    """Of each publication; also while another process writes to the store."""
    url = news_store(tmp_path / "large.db")
    with reading.writing(url) if written else nullcontext():
        found = reading.measure(url)
    print(*found, sep="\n")
    assert {each.kind for each in found} == set(reading.queries())


@pytest.mark.slow
def test_a_run_while_pages_are_looked_at(real_articles: Path, tmp_path: Path) -> None:
    """Prints the rates of runs: as near to each other as two runs are."""
    header, rows = real_articles.read_bytes().split(b"\n", 1)
    file = tmp_path / "articles.csv"
    file.write_bytes(header + b"\n" + 10 * rows)
    for turn in range(4):
        url = f"sqlite:///{tmp_path / f'{turn}.db'}"
        assert run(tmp_path, "run-csv", str(real_articles), "--store", url)[0] == 0
        looked = Looking(tmp_path, url) if turn % 2 else None
        code, output = run(tmp_path, "run-csv", str(file), "--store", url, "--no-progress")
        assert code == 0, output
        pages = looked.end() if looked else 0
        print(f"{pages:,} pages:", next(x for x in output.splitlines() if "words/s" in x))


class Looking:
    """Asks for one page after the other, on a thread, until the end.

    Whoever looks does so at the cost of a machine of their own, not of the run's. Linux shares the
    processor between sessions before it looks at how nice their processes are.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._explorer = Explorer(folder, url)
        self._pages = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        _set_niceness(self._explorer.program.process.pid, 19)
        _set_niceness(os.getpid(), 19)
        self._thread.start()

    def _look(self) -> None:
        paths = ("/", "/publication?name=18f", "/word?word=senate")
        for path in itertools.cycle(paths):
            if self._ended.is_set():
                return
            self._explorer.seconds(path)
            self._pages += 1

    def end(self) -> int:
        """The number of pages seen."""
        self._ended.set()
        self._thread.join()
        self._explorer.close()
        _set_niceness(os.getpid(), 0)
        return self._pages


def _set_niceness(process: int, niceness: int) -> None:
    """Of a process' whole session, where the kernel shares by sessions and allows it."""
    file = Path(f"/proc/{process}/autogroup")
    with suppress(OSError):
        file.write_text(str(niceness))
