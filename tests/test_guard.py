"""What work takes, in figures that no clock has a part in: no more than it does today.

So what makes the program slower by a step, a write or a message too many fails here, on any
machine. Where a figure has a reason to be past its bound, the bound is to be changed with it.
"""

from __future__ import annotations

import json
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import guarded
import pytest
from counting import Sqlite, calls, objects_left, peak, steps

from daskingest.articles import Article
from daskingest.benchmarks.counters import batches
from daskingest.benchmarks.firestore import firestore_writes_vs_floor
from daskingest.extraction import extract
from daskingest.ledger import BatchId, Counted
from daskingest.models import find_model, load_model
from daskingest.packed import CompressedCounts, PackedCounts, merged
from daskingest.recognizer.finder import Finder
from daskingest.sources.csvfile import open_csv
from daskingest.stores import open_store


class Bound(NamedTuple):
    """The most that a figure may be, what it was, and what it would be higher by."""

    most: float
    was: float
    against: str


BOUNDS = {
    # A run of two workers: 1,024 articles of some 1,900 bytes, in batches of 128 KiB.
    "batches of a run": Bound(15, 15, "smaller batches"),
    "tasks a batch": Bound(1.5, 1.0, "more than a task a batch; some are moved to another worker"),
    "bytes that the driver sends an article": Bound(75, 61, "texts that go through the driver"),
    "bytes that the driver gets an article": Bound(53, 44, "counts or texts sent back to it"),
    "bytes that the saver gets an article": Bound(2500, 2317, "counts sent twice, or as text"),
    "bytes that the saver writes a row": Bound(155, 130, "rows written twice, or one by one"),
    "commits of a run": Bound(4, 4, "commits besides: a run is taken, begun, counted, done"),
    "rows of a run": Bound(1906, 1906, "words that are written more than once"),
    # With what Dask reads of /proc, which grows with the time: so the bounds are far away.
    "bytes that the driver reads a byte": Bound(1.6, 1.07, "a file that is read twice"),
    "bytes that workers read a byte": Bound(1.75, 1.2, "ranges read twice; late imports"),
    "modules that a worker loads": Bound(8, 3, "what the template should have loaded"),
    "modules that the saver loads": Bound(30, 21, "what the template should have loaded"),
    "loops that are compiled": Bound(0, 0, "loops that are compiled anew in each process"),
    "collections of garbage": Bound(2, 0, "new objects that are looked at again and again"),
    "threads of a worker": Bound(6, 5, "pools of threads beside each other"),
    "processes": Bound(5, 5, "a tracker, the template, two workers, the saver"),
    "writes to Firestore a word": Bound(1.03, 1.005, "words published more than once"),
    # In this process.
    "steps a token": Bound(2.4, 2.07, "tokens as objects of Python, loops over them"),
    "calls a token": Bound(0.23, 0.19, "a call for each token"),
    "bytes a token": Bound(730, 634, "more or wider arrays beside each other"),
    "steps an article": Bound(1900, 1600, "a step for each word of a text, or each entity"),
    "calls an article": Bound(850, 730, "a call for each word of a text, or each entity"),
    "objects left by an article": Bound(0.5, 0.1, "what grows with what is read"),
    "steps a row that is read": Bound(165, 142, "a step for each byte or line"),
    "bytes to read a file": Bound(9.0e6, 7.7e6, "a file in memory, or several copies of a batch"),
    "growth of those with the file": Bound(1.1, 1.0, "a file in memory"),
    "bytes a counter on its way": Bound(14, 12.8, "counts as text, or as an object for each"),
    "steps of SQLite a counter": Bound(53, 48.6, "an index more, lookups one by one"),
    "changes a counter": Bound(1.1, 1.03, "rows written twice, as into a temporary table first"),
    "commits of a flush": Bound(1, 1, "a commit for each publication or batch"),
    "steps of SQLite a page": Bound(2700, 2420, "a page that sorts, or an index that is not used"),
    "growth of those with the store": Bound(1.1, 1.0, "words that are scanned"),
}


def check(figures: dict[str, float]) -> None:
    """Raise AssertionError if any of them is past its bound, for all that are."""
    past = [
        f"{name}: {figure:,.4g}, and {BOUNDS[name].most:,.4g} at most (it was "
        f"{BOUNDS[name].was:,.4g}); against {BOUNDS[name].against}"
        for name, figure in figures.items()
        if figure > BOUNDS[name].most
    ]
    print({name: round(figure, 3) for name, figure in figures.items()})
    assert not past, "\n".join(past)


@pytest.fixture(scope="module")
def find() -> Finder:
    """Finds entities. What it has compiled is in numba's cache from here on."""
    return load_model(find_model())


@pytest.fixture
def articles(sample: Path) -> list[Article]:
    """The bundled ones."""
    [part] = open_csv(str(sample), None, None).ranges(1 << 30)
    return [each for each in part.rows() if isinstance(each, Article)]


@pytest.fixture
def sqlite(monkeypatch: pytest.MonkeyPatch) -> Sqlite:
    """Counts what is done in connections that are opened from here on."""
    sqlite, connect = Sqlite(), sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kw: sqlite.opened(connect(*args, **kw)))
    return sqlite


@pytest.fixture
def write_copies(sample: Path, tmp_path: Path) -> Callable[[int], Path]:
    """Writes the bundled articles so many times over."""

    def write(copies: int) -> Path:
        header, rows = sample.read_bytes().split(b"\n", 1)
        path = tmp_path / f"{copies}.csv"
        path.write_bytes(header + b"\n" + copies * rows)
        return path

    return write


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux' kernel tells what is asked")
def test_a_run(find: Finder, write_copies: Callable[[int], Path], tmp_path: Path) -> None:
    file, store = write_copies(16), tmp_path / "store.db"
    command = [sys.executable, guarded.__file__, str(file), str(store)]
    # With many more batches it would wait for a flush, which comes after an hour.
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    took = json.loads(done.stdout.splitlines()[-1])
    assert took["articles"] == 1024
    articles, size = took["articles"], took["bytes"]
    with open_store(f"sqlite:///{store}", create=True) as opened:
        opened.publications()  # what the saver has written into its log comes into the file
    check(
        {
            "batches of a run": took["batches"],
            "tasks a batch": took["tasks"] / took["batches"],
            "bytes that the driver sends an article": took["sent by the driver"] / articles,
            "bytes that the driver gets an article": took["received by the driver"] / articles,
            "bytes that the saver gets an article": took["received by the saver"] / articles,
            "bytes that the saver writes a row": took["written by the saver"] / took["rows"],
            "commits of a run": took["commits"],
            "rows of a run": took["rows"],
            "bytes that the driver reads a byte": took["read by the driver"] / size,
            "bytes that workers read a byte": took["read by workers"] / size,
            "modules that a worker loads": took["modules of a worker"],
            "modules that the saver loads": took["modules of the saver"],
            "loops that are compiled": took["compiled"],
            "collections of garbage": took["collections"],
            "threads of a worker": took["threads"],
            "processes": took["processes"],
            "writes to Firestore a word": firestore_writes_vs_floor(store),
        }
    )


def test_a_batch(find: Finder, articles: list[Article]) -> None:
    texts = [each.content for each in articles]

    def recognize() -> None:
        with find.nlp.memory_zone():
            find(texts)

    def count() -> None:
        extract(articles, find)

    recognize()  # what it keeps of each kind of token is made
    tokens = sum(len(find.nlp.make_doc(text)) for text in texts)
    check(
        {
            "steps a token": steps(recognize) / tokens,
            "calls a token": calls(recognize) / tokens,
            "bytes a token": peak(recognize) / tokens,
            "steps an article": steps(count) / len(articles),
            "calls an article": calls(count) / len(articles),
            "objects left by an article": objects_left(count) / len(articles),
        }
    )


def test_reading(write_copies: Callable[[int], Path]) -> None:
    def read(copies: int) -> Callable[[], None]:
        file = str(write_copies(copies))

        def work() -> None:
            for part in open_csv(file, None, None).ranges(1 << 20):
                for _ in part.rows():
                    pass

        return work

    few, many = read(16), read(64)
    few()
    check(
        {
            "steps a row that is read": steps(few) / 1024,
            "bytes to read a file": peak(few),
            "growth of those with the file": peak(many) / peak(few),
        }
    )


def on_its_way(counts: PackedCounts) -> int:
    return len(pickle.dumps(CompressedCounts.of(counts), 5))


def test_a_flush(sqlite: Sqlite, tmp_path: Path) -> None:
    several = list(islice(batches(seed=3, dated=False), 8))
    size = sum(each.size for each in several)
    with open_store(f"sqlite:///{tmp_path / 'store.db'}", create=True) as store:
        store.commit(merged(several[:4]), {BatchId("run", "1"): Counted()})
        sqlite.forget()
        flush = merged(several[4:])
        store.commit(flush, {BatchId("run", "2"): Counted()})
        changes = sqlite.changes
    check(
        {
            "bytes a counter on its way": sum(map(on_its_way, several)) / size,
            "steps of SQLite a counter": sqlite.steps / flush.size,
            "changes a counter": changes / flush.size,
            "commits of a flush": sqlite.statements.count("COMMIT"),
        }
    )


def test_a_page(sqlite: Sqlite, tmp_path: Path) -> None:
    def page(number: int) -> int:
        """The steps that a page of words takes in a store of so many batches."""
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        with open_store(url, create=True) as store:
            counts = merged(list(islice(batches(seed=3), number)))
            store.commit(counts, {BatchId("run", "1"): Counted()})
        with open_store(url) as store:
            first = max(store.publications(), key=lambda each: each.count)
            sqlite.forget()
            assert len(store.words(first.key, 50)) == 50
            return sqlite.steps

    few, many = page(16), page(64)
    check({"steps of SQLite a page": many, "growth of those with the store": many / few})
