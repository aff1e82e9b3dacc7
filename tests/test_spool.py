"""The spool by itself: what it says is on disk is on disk."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskingest.articles import Article
from daskingest.errors import UsageError
from daskingest.service.answers import IdempotencyKey, KeyReused
from daskingest.service.group_commit import SpoolError
from daskingest.service.micro_batches import Limits
from daskingest.service.spool import Spool, SpooledBatch

T = TypeVar("T")
LIMITS = Limits(articles=10, bytes=5_000, seconds=3600)


def articles(first: int, number: int, size: int = 1) -> list[Article]:
    return [Article(f"{i}" + "x" * size, "P", str(i)) for i in range(first, first + number)]


def with_spool(folder: Path, work: Callable[[Spool], Awaitable[T]]) -> T:
    async def go() -> T:
        with closing(Spool(folder)) as spool:
            return await work(spool)

    return asyncio.run(go())


def ids(batches: list[SpooledBatch]) -> list[str | None]:
    rows = [row for batch in batches for row in batch.articles]
    return [row.id if isinstance(row, Article) else row.reason for row in rows]


def numbers(first: int, number: int) -> list[str]:
    return [str(i) for i in range(first, first + number)]


def test_what_was_added_is_there_after_a_restart(tmp_path: Path) -> None:
    async def fill(spool: Spool) -> str:
        answer = await spool.add(articles(0, 25))
        assert (answer.body, answer.repeated) == ({"accepted": 25}, False)
        [first] = await spool.release(1, 0, LIMITS, drain=False)
        assert (first.number, first.reason, ids([first])) == (1, "count", numbers(0, 10))
        return spool.id

    async def empty(spool: Spool) -> str:
        assert (spool.articles, spool.waiting, spool.unfinished()) == (25, 15, [1])
        again = await spool.load(1)
        assert ids([again]) == numbers(0, 10)
        rest = await spool.release(9, 0, LIMITS, drain=True)
        assert [batch.reason for batch in rest] == ["count", "drain"]
        assert ids(rest) == numbers(10, 15)
        await spool.forget([1, 2, 3])
        assert (spool.articles, spool.bytes, spool.oldest) == (0, 0, None)
        return spool.id

    async def look(spool: Spool) -> int:
        assert (spool.articles, spool.bytes, spool.unfinished()) == (0, 0, [])
        await spool.add(articles(0, 1))
        [batch] = await spool.release(1, 1, LIMITS, drain=False)
        return batch.number

    assert with_spool(tmp_path, fill) == with_spool(tmp_path, empty)
    assert with_spool(tmp_path, look) == 4  # numbers are never used again


def test_when_batches_are_released(tmp_path: Path) -> None:
    async def work(spool: Spool) -> None:
        assert await spool.release(5, 5, LIMITS, drain=True) == []
        await spool.add(articles(0, 4))
        assert await spool.release(5, 0, LIMITS, drain=False) == []
        [batch] = await spool.release(5, 1, LIMITS, drain=False)
        assert (batch.reason, len(batch.articles)) == ("idle", 4)
        await spool.add(articles(4, 3, size=3_000))
        [first] = await spool.release(1, 0, LIMITS, drain=False)
        assert (first.reason, len(first.articles)) == ("bytes", 1)
        at_once = Limits(10, 50_000, 0)
        [second] = await spool.release(1, 0, at_once, drain=False)
        assert (second.reason, len(second.articles)) == ("age", 2)
        await spool.add(articles(7, 1, size=100_000))
        [large] = await spool.release(1, 0, LIMITS, drain=False)
        assert len(large.articles) == 1

    with_spool(tmp_path, work)


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 30)),
            st.tuples(st.just("upload"), st.integers(1, 30)),
            st.tuples(st.just("release"), st.integers(1, 4)),
            st.tuples(st.just("forget"), st.integers(0, 3)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=25,
    )
)
def test_each_article_is_in_one_batch(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    added: list[str] = []
    seen: dict[int, list[str | None]] = {}
    forgotten: set[int] = set()

    async def go() -> None:
        spool = Spool(folder)
        for what, number in [*steps, ("restart", 0), ("release", 1000)]:
            new = articles(len(added), number, size=number * 40)
            if what == "add":
                await spool.add(new)
                added.extend(str(each.id) for each in new)
            elif what == "upload":
                mine, other = spool.begin_upload(), spool.begin_upload()
                await spool.stage(other, articles(10_000, 2))
                for each in new:
                    await spool.stage(mine, [each])
                await spool.finish(mine, {})
                await spool.discard(other)
                added.extend(str(each.id) for each in new)
            elif what == "release":
                for batch in await spool.release(number, 0, LIMITS, drain=True):
                    assert batch.number not in seen
                    seen[batch.number] = ids([batch])
            elif what == "forget":
                numbers = sorted(seen.keys() - forgotten)[:number]
                await spool.forget(numbers)
                forgotten.update(numbers)
            else:
                upload = spool.begin_upload()
                await spool.stage(upload, articles(20_000, 3))
                spool.close()
                spool = Spool(folder)
                assert spool.unfinished() == sorted(seen.keys() - forgotten)
            for left in spool.unfinished():
                assert ids([await spool.load(left)]) == seen[left]
        assert sorted(each or "" for its in seen.values() for each in its) == sorted(added)
        await spool.forget(spool.unfinished())
        assert (spool.articles, spool.bytes, spool.waiting) == (0, 0, 0)
        spool.close()

    asyncio.run(go())
    with closing(sqlite3.connect(folder / "spool.db")) as db:
        for table in ("articles", "chunks", "batches"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchall() == [(0,)]


def test_a_key_counts_once_also_after_a_restart(tmp_path: Path) -> None:
    key = IdempotencyKey("k", "digest")

    async def first(spool: Spool) -> None:
        answers = await asyncio.gather(*(spool.add(articles(0, 3), key) for _ in range(5)))
        assert sorted(answer.repeated for answer in answers) == [False, True, True, True, True]
        with pytest.raises(KeyReused):
            await spool.add(articles(0, 3), IdempotencyKey("k", "another"))

    async def second(spool: Spool) -> None:
        assert (await spool.add(articles(0, 3), key)).repeated
        upload = spool.begin_upload()
        await spool.stage(upload, articles(0, 3))
        with pytest.raises(KeyReused):
            await spool.finish(upload, {}, IdempotencyKey("k", "another"))
        assert (spool.articles, spool.waiting) == (3, 3)

    with_spool(tmp_path, first)
    with_spool(tmp_path, second)


def test_keys_expire_by_the_time_in_use_and_not_by_the_clock_on_the_wall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, hour = IdempotencyKey("k", "digest"), 3600.0
    used = 5.0

    def with_clock(work: Callable[[Spool], Awaitable[T]]) -> T:
        async def go() -> T:
            with closing(Spool(tmp_path, lambda: used)) as spool:
                return await work(spool)

        return asyncio.run(go())

    async def repeats(spool: Spool) -> bool:
        await spool.tidy()
        return (await spool.add(articles(0, 1), key)).repeated

    async def much_later(spool: Spool) -> None:
        nonlocal used
        assert not await repeats(spool)
        jumped = time.time() + 25 * hour
        monkeypatch.setattr(time, "time", lambda: jumped)
        await spool.release(1, 1, LIMITS, drain=True)
        await spool.forget([1])
        assert await repeats(spool)
        used += 13 * hour
        assert await repeats(spool)

    with_clock(much_later)
    used = 77_777_777.0  # that clock begins anywhere, and what it passes meanwhile is no use
    assert with_clock(repeats)

    async def a_day_in_all(spool: Spool) -> None:
        nonlocal used
        used += 10 * hour
        assert await repeats(spool)
        used += 2 * hour
        assert not await repeats(spool)

    with_clock(a_day_in_all)


def test_keys_take_room_in_the_spool_until_they_are_forgotten(tmp_path: Path) -> None:
    used = 0.0

    async def work(spool: Spool) -> int:
        nonlocal used
        for i in range(50):
            await spool.add([], IdempotencyKey(f"key {i}", "digest"))
        kept = spool.bytes
        assert (spool.articles, spool.key_bytes) == (0, kept)
        assert kept > 50 * len("key 0" + "digest")
        with pytest.raises(KeyReused):
            await spool.add([], IdempotencyKey("key 1", "another"))
        assert spool.bytes == kept
        used += 100_000
        await spool.tidy()  # nothing was counted, and no request came
        assert spool.bytes == 0
        await spool.add([], IdempotencyKey("key", "digest"))
        return spool.bytes

    async def go() -> None:
        with closing(Spool(tmp_path, lambda: used)) as spool:
            kept = await work(spool)
        with closing(Spool(tmp_path, lambda: used)) as spool:
            assert spool.bytes == kept > 0

    asyncio.run(go())


def test_a_disk_that_is_full_takes_nothing_and_gets_well(tmp_path: Path) -> None:
    async def work(spool: Spool) -> None:
        await spool.add(articles(0, 1))
        db = spool._tables._db
        [(pages,)] = db.execute("PRAGMA page_count").fetchall()
        db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(SpoolError, match="full"):
            await spool.add(articles(1, 1, size=100_000))
        assert (spool.articles, spool.waiting) == (1, 1)
        db.execute("PRAGMA max_page_count = 1000000")
        await spool.add(articles(1, 1, size=100_000))
        assert ids(await spool.release(9, 9, LIMITS, drain=True)) == ["0", "1"]

    with_spool(tmp_path, work)


def test_one_process_at_a_time_uses_it(tmp_path: Path) -> None:
    with closing(Spool(tmp_path)), pytest.raises(UsageError, match="another daskingest"):
        Spool(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "spool.db").write_text("something else entirely, of some length")
    with pytest.raises(UsageError, match="cannot use the spool"):
        Spool(tmp_path / "other")


def test_a_spool_of_the_version_before_is_taken_up(tmp_path: Path) -> None:
    """As a killed service leaves it: articles in a batch, waiting, and of half an upload."""
    schema = """
    CREATE TABLE spool (id TEXT NOT NULL);
    CREATE TABLE articles (first INTEGER PRIMARY KEY, packed BLOB NOT NULL);
    CREATE TABLE chunks (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, taken INTEGER NOT NULL,
        unsaved INTEGER NOT NULL, received REAL NOT NULL, upload INTEGER);
    CREATE TABLE batches (number INTEGER PRIMARY KEY AUTOINCREMENT, ranges TEXT NOT NULL,
        articles INTEGER NOT NULL, bytes INTEGER NOT NULL, received REAL NOT NULL);
    CREATE TABLE answers (key TEXT PRIMARY KEY, digest TEXT NOT NULL, answer TEXT NOT NULL,
        given REAL NOT NULL) WITHOUT ROWID;
    INSERT INTO spool VALUES ('spool-12');
    INSERT INTO chunks VALUES (1, 3, 2, 3, 5.0, NULL), (4, 4, 3, 1, 6.0, NULL),
        (5, 6, 4, 2, 7.0, 1);
    INSERT INTO batches VALUES (9, '[[1, 2]]', 2, 406, 5.0);
    INSERT INTO answers VALUES ('k', 'd', '{"accepted": 4}', 1e12);
    PRAGMA application_id = 1684624208;
    PRAGMA user_version = 1;
    """
    with closing(sqlite3.connect(tmp_path / "spool.db")) as db:
        db.executescript(schema)
        for first, last in ((1, 3), (4, 4), (5, 6)):
            packed = msgpack.packb([(f"{i}", "P", f"{i}") for i in range(first, last + 1)])
            db.execute("INSERT INTO articles VALUES (?, ?)", (first, packed))
        db.commit()

    async def work(spool: Spool) -> None:
        assert (spool.id, spool.articles, spool.waiting) == ("spool-12", 4, 2)
        assert (spool.unfinished(), spool.oldest) == ([9], 5.0)
        assert ids([await spool.load(9)]) == ["1", "2"]
        assert (await spool.add([], IdempotencyKey("k", "d"))).body == {"accepted": 4}
        [batch] = await spool.release(9, 1, LIMITS, drain=False)
        assert (batch.number, ids([batch])) == (10, ["3", "4"])

    with_spool(tmp_path, work)
