"""A spool with rows that cannot be read: they are set aside and told of, and the rest goes on."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import msgpack
import pytest

from daskingest.articles import Article, Reject
from daskingest.ledger import BatchId
from daskingest.service.feed import Feed, InFlight
from daskingest.service.metrics import Metrics
from daskingest.service.micro_batches import Limits
from daskingest.service.spool import Spool
from daskingest.service.spool_file import UNREADABLE

T = TypeVar("T")
LIMITS = Limits(articles=4, bytes=1 << 20, seconds=3600)
BROKEN = [
    b"",
    b"\xc1 is never used",
    msgpack.packb(["text"]),
    msgpack.packb([("a", "P", None)] * 2),
    7,
]


def with_spool(folder: Path, work: Callable[[Spool], Awaitable[T]]) -> T:
    async def go() -> T:
        with closing(Spool(folder)) as spool:
            return await work(spool)

    return asyncio.run(go())


def articles(first: int, number: int) -> list[Article]:
    return [Article(f"text {i}", "P", str(i)) for i in range(first, first + number)]


def change(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "spool.db")) as db, db:
        assert db.execute(statement, values).rowcount > 0


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "spool.db")) as db:
        return db.execute(query).fetchall()


async def all_rows(spool: Spool) -> list[list[str | None]]:
    """What is left of batches, and what waits, as ids or reasons."""
    left = [await spool.load(number) for number in spool.unfinished()]
    new = await spool.release(9, 9, LIMITS, drain=True)
    return [
        [row.id if isinstance(row, Article) else row.reason for row in batch.articles]
        for batch in [*left, *new]
        if batch is not None
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spool with batch 1, articles 0 to 3 of two chunks, and 4, 5 and 6 that wait in two."""

    async def fill(spool: Spool) -> None:
        for first, number in ((0, 2), (2, 4), (6, 1)):
            await spool.add(articles(first, number))
        await spool.release(1, 0, LIMITS, drain=False)

    with_spool(tmp_path, fill)
    return tmp_path


@pytest.mark.parametrize("packed", BROKEN)
def test_a_chunk_that_waits_is_set_aside_at_the_start(
    folder: Path, packed: object, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder, "UPDATE articles SET packed = ? WHERE first = 7", packed)

    async def work(spool: Spool) -> list[list[str | None]]:
        assert (spool.articles, spool.damaged) == (6, 1)
        return await all_rows(spool)

    assert with_spool(folder, work) == [["0", "1", "2", "3"], ["4", "5"]]
    assert "articles 7 to 7 cannot be read" in caplog.text
    assert "table damaged of spool.db" in caplog.text
    assert rows(folder, "SELECT place, articles, data FROM damaged") == [
        ("articles 7 to 7", 1, packed)
    ]
    caplog.clear()
    with_spool(folder, all_rows)
    assert "cannot be read" not in caplog.text  # told once
    assert with_spool(folder, lambda spool: asyncio.sleep(0, spool.damaged)) == 1


def test_what_has_the_same_numbers_later_is_set_aside_too(tmp_path: Path) -> None:
    for damaged in (1, 2):
        with_spool(tmp_path, lambda spool: spool.add(articles(0, 1)))
        change(tmp_path, "UPDATE articles SET packed = x'00'")
        assert with_spool(tmp_path, lambda spool: asyncio.sleep(0, spool.damaged)) == damaged
    assert len(rows(tmp_path, "SELECT * FROM damaged WHERE place = 'articles 1 to 1'")) == 2


def test_a_damaged_batch_is_told_of_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    change(folder, "UPDATE articles SET packed = x'00' WHERE first = 1")
    for _ in range(3):
        assert with_spool(folder, lambda spool: asyncio.sleep(0, spool.unfinished()))[0] == 1
        with_spool(folder, lambda spool: spool.load(1))
    assert caplog.text.count("cannot be read") == 1


def test_one_of_several_chunks_costs_its_own_articles(folder: Path) -> None:
    change(folder, "UPDATE articles SET packed = x'00' WHERE first = 3")

    async def work(spool: Spool) -> None:
        assert spool.damaged == 2  # those that wait; the others' batch was not asked for
        found = await all_rows(spool)
        assert found == [["0", "1", UNREADABLE, UNREADABLE], ["6"]]
        assert spool.damaged == 4
        await spool.forget(spool.unfinished())
        assert (spool.articles, spool.bytes) == (0, 0)

    with_spool(folder, work)
    assert rows(folder, "SELECT * FROM articles") == rows(folder, "SELECT * FROM chunks") == []
    places = rows(folder, "SELECT place, articles FROM damaged ORDER BY place")
    assert places == [("articles 3 to 4, in batch 1,", 2), ("articles 5 to 6", 2)]


def test_a_batch_whose_articles_are_gone_keeps_their_places(folder: Path) -> None:
    change(folder, "DELETE FROM chunks WHERE first = 1")
    change(folder, "DELETE FROM articles WHERE first = 1")

    async def work(spool: Spool) -> None:
        batch = await spool.load(1)
        assert batch is not None
        assert [isinstance(row, Reject) for row in batch.rows()] == [True, True, False, False]
        await spool.forget([1])
        assert spool.unfinished() == []

    with_spool(folder, work)


@pytest.mark.parametrize("ranges", ["", "[[1, 2", "[[1]]", "[[4, 1]]", "[[1, 2]]", "7"])
def test_a_batch_with_broken_ranges_is_set_aside(
    folder: Path, ranges: str, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder, "UPDATE batches SET ranges = ?", ranges)

    async def work(spool: Spool) -> None:
        assert (spool.unfinished(), spool.articles, spool.damaged) == ([], 3, 4)
        assert await all_rows(spool) == [["4", "5", "6"]]
        await spool.add(articles(7, 1))
        [batch] = await spool.release(1, 1, LIMITS, drain=True)
        assert batch.number == 3  # a number is never used again

    with_spool(folder, work)
    assert "batch 1 of 4 articles" in caplog.text
    assert rows(folder, "SELECT articles, data FROM damaged") == [(4, ranges)]
    assert rows(folder, "SELECT count(*) FROM articles WHERE first < 4") == [(2,)]  # still there


def test_what_breaks_while_it_serves_is_set_aside(folder: Path) -> None:
    async def work(spool: Spool) -> None:
        change(folder, "UPDATE articles SET packed = x'00' WHERE first = 7")
        change(folder, "UPDATE batches SET ranges = 'x'")
        metrics, in_flight = Metrics(0), InFlight()
        with closing(Feed(spool, LIMITS, metrics, in_flight, lambda: None)) as feed:
            feed.draining = True
            batches = await feed.take(9, 9)
        assert batches is not None
        assert [each.id for each in batches] == [BatchId(spool.id, "2")]
        assert [row.id for row in batches[0].rows() if isinstance(row, Article)] == ["4", "5"]
        assert (spool.articles, spool.damaged) == (2, 5)
        await spool.forget([1, 2])
        assert (spool.articles, spool.bytes, spool.waiting) == (0, 0, 0)

    with_spool(folder, work)


def test_an_upload_that_breaks_is_not_taken(folder: Path) -> None:
    async def work(spool: Spool) -> None:
        upload = spool.begin_upload()
        await spool.stage(upload, articles(7, 2))
        change(folder, "UPDATE articles SET packed = x'00' WHERE first = 8")
        with pytest.raises(Exception, match="cannot be written"):
            await spool.finish(upload, {})
        await spool.add(articles(9, 1))
        await spool.discard(upload)
        assert spool.damaged == 0
        assert (await all_rows(spool))[1:] == [["4", "5", "6", "9"]]

    logging.getLogger("daskingest").setLevel(logging.CRITICAL)
    try:
        with_spool(folder, work)
    finally:
        logging.getLogger("daskingest").setLevel(logging.NOTSET)
