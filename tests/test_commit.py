"""Commits of which the store refuses a part, on real stores: nothing else waits for it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from emulated import Proxy, content
from program import run

from daskingest.articles import publication_key
from daskingest.counts import Counts
from daskingest.errors import StoreError
from daskingest.ledger import BatchId, Counted
from daskingest.packed import CompressedCounts, PackedCounts, PackedPublication
from daskingest.pipeline.commit import commit
from daskingest.pipeline.pending import Flush, Pending, Refusal
from daskingest.pipeline.saver import Saver
from daskingest.pipeline.verdicts import NOT_TAKEN
from daskingest.stores import open_store
from daskingest.tally import Tally

BAD = "forbidden"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A store that does not take a word."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    open_store(url, create=True).close()
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.execute(
            "CREATE TRIGGER picky BEFORE INSERT ON words WHEN new.word = 'forbidden' "
            "BEGIN SELECT raise(ABORT, 'not this'); END"
        )
    return url


@pytest.fixture(params=["sqlite", "firestore", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    if request.param == "postgresql":
        return picky(str(request.getfixturevalue("postgresql_url")))
    url = str(request.getfixturevalue("firestore_url"))
    proxy: Proxy = request.getfixturevalue("proxy")
    proxy.invalid = BAD.encode()
    return url


def picky(url: str) -> str:
    """A store in PostgreSQL that does not take a word."""
    open_store(url, create=True).close()
    with psycopg.connect(url) as db:
        db.execute("ALTER TABLE daskingest.words ADD CHECK (word <> 'forbidden')")
    return url


def named(number: int) -> BatchId:
    return BatchId("r", str(number))


def counts_of(*words: str, count: int = 1) -> PackedCounts:
    counts = Counts()
    counts.add_article("P", [(word, "ORG") for word in words for _ in range(count)])
    return counts.packed()


def flush_of(*batches: PackedCounts) -> Flush:
    pending = Pending()
    for number, counts in enumerate(batches):
        its = CompressedCounts.of(counts)
        pending.add(named(number), its, Counted(Tally(rows=1)), 1_000_000, 0.0)
    assert pending.first is not None
    return pending.first


def test_what_is_invalid_is_found_and_the_others_are_committed(url: str) -> None:
    batches = [counts_of("a") for _ in range(9)]
    batches[6] = counts_of("a", BAD)
    with open_store(url, create=True) as store:
        found = commit(flush_of(*batches), [], store).entries
        assert found.pop(named(6)) is Refusal.INVALID
        assert found == store.ledger("r")
        assert set(found) == {named(number) for number in range(9)} - {named(6)}
    assert content(url) == ({"p": 8}, {("p", "a", "ORG"): 8})


@pytest.mark.parametrize(("name", "articles"), [("lone \ud800 surrogate", 1), ("P", 1 << 70)])
def test_values_that_cannot_be_written_are_invalid(url: str, name: str, articles: int) -> None:
    bad = PackedCounts((PackedPublication(publication_key(name), name, articles, {}),))
    with open_store(url, create=True) as store:
        found = commit(flush_of(counts_of("a"), bad, counts_of("a")), [], store).entries
    assert [found[named(n)] is Refusal.INVALID for n in range(3)] == [False, True, False]
    assert content(url)[0] == {"p": 2}


def test_a_saver_goes_on_and_tells(url: str) -> None:
    async def go() -> None:
        saver = Saver(url, 0.0, "me")
        await saver.add(named(0), CompressedCounts.of(counts_of(BAD)), Counted())
        await saver.add(named(1), CompressedCounts.of(counts_of("b")), Counted())
        async with asyncio.timeout(60):
            await saver.drain()
        report = await saver.report(0)
        assert (report.invalid, report.refused) == ((named(0),), ())
        assert set(report.committed) == {named(1)}

    asyncio.run(go())
    assert content(url) == ({"p": 1}, {("p", "b", "ORG"): 1})


def test_a_store_that_takes_nothing_rejects_nothing(firestore_url: str, proxy: Proxy) -> None:
    proxy.invalid = b""  # which every commit holds, as for a wrong project
    with open_store_through(proxy, firestore_url) as store:
        with pytest.raises(StoreError, match="not this"):
            commit(flush_of(counts_of("a")), [], store)
        with pytest.raises(StoreError, match="not this"):
            commit(flush_of(PackedCounts()), [], store)
        proxy.invalid = None
        assert commit(flush_of(counts_of("a")), [], store).entries == store.ledger("r")


def open_store_through(proxy: Proxy, url: str):  # type: ignore[no-untyped-def]
    proxy.invalid, refused = None, proxy.invalid
    try:
        return open_store(url, create=True)
    finally:
        proxy.invalid = refused


def test_a_store_that_is_away_rejects_nothing(sqlite_url: str, tmp_path: Path) -> None:
    with (
        open_store(sqlite_url, create=True) as store,
        closing(sqlite3.connect(tmp_path / "a.db")) as db,
    ):
        store.publications()
        db.execute("PRAGMA journal_mode = WAL")
        store._opened().connection.execute("PRAGMA busy_timeout = 0")  # type: ignore[attr-defined]
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            commit(flush_of(counts_of(BAD), counts_of("a")), [], store)
        db.execute("ROLLBACK")
        found = commit(flush_of(counts_of(BAD), counts_of("a")), [], store).entries
    assert found[named(0)] is Refusal.INVALID


@pytest.mark.slow
def test_an_article_that_the_store_does_not_take_is_rejected_alone(
    tmp_path: Path, write_csv: Callable[..., str]
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    open_store(url, create=True).close()
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.execute(
            "CREATE TRIGGER picky BEFORE INSERT ON words WHEN new.word = 'angela merkel' "
            "BEGIN SELECT raise(ABORT, 'not this'); END"
        )
    pairs = [("P", f"Barack Obama went to Berlin, {i}.") for i in range(20)]
    pairs[13] = ("P", "Angela Merkel met Barack Obama in Berlin.")
    options = ["--workers", "1", "--store", url, "--flush-interval", "0.2"]
    code, output = run(tmp_path, "run-csv", write_csv(pairs), *options)
    assert code == 0, output
    [line] = (tmp_path / "rejects.jsonl").read_text().splitlines()
    assert (json.loads(line)["row"], json.loads(line)["reason"]) == (14, NOT_TAKEN)
    assert content(url)[0] == {"p": 19}
