"""The saver by itself, on a real store."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from distributed import Client, Scheduler, Worker
from program import PATIENCE, content

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted, Entry
from daskingest.packed import CompressedCounts
from daskingest.pipeline import sums
from daskingest.pipeline.saver import Saver
from daskingest.stores import open_store
from daskingest.tally import Tally


def counts_of(*words: str) -> CompressedCounts:
    counts = Counts()
    counts.add_article("P", [(word, "ORG") for word in words])
    return CompressedCounts.of(counts.packed())


def named(text: str) -> BatchId:
    return BatchId.parse(text)


def rows(count: int = 0) -> Entry:
    return Counted(Tally(rows=count))


def test_batches_are_committed_together_and_once(tmp_path: Path) -> None:
    async def go() -> None:
        saver = Saver(f"sqlite:///{tmp_path}/a.db", 3600, "me")
        for _ in range(2):
            await saver.add(named("r:1"), counts_of("a"), rows(1))
            await saver.add(named("r:2"), counts_of("a", "b"), rows(2))
        await saver.drain()
        report = await saver.report(0)
        assert report.committed == {named("r:1"): rows(1), named("r:2"): rows(2)}
        assert (await saver.report(0)).committed == report.committed
        await saver.add(named("r:1"), counts_of("a"), rows(9))
        await saver.drain()
        assert (await saver.report(report.next)).committed == {named("r:1"): rows(1)}
        assert open_store(f"sqlite:///{tmp_path}/a.db").ledger("r") == report.committed

    asyncio.run(go())
    assert content(tmp_path / "a.db") == ({"p": 2}, {("p", "a", "ORG"): 2, ("p", "b", "ORG"): 1})


def most_pending_in_a_saver(url: str) -> int:
    return Saver(url, 3600, "me")._pending.most


def test_no_more_waits_than_the_saver_s_worker_may_hold(tmp_path: Path) -> None:
    """Beyond its limit it would be replaced, again and again, and what waited extracted anew."""

    async def go() -> int:
        async with (
            Scheduler(protocol="inproc", dashboard_address="127.0.0.1:0") as scheduler,
            Worker(scheduler.address, memory_limit="1 GiB", dashboard=False),
            Client(scheduler.address, asynchronous=True) as client,
        ):
            future = client.submit(most_pending_in_a_saver, f"sqlite:///{tmp_path}/a.db")
            return int(await future)

    assert asyncio.run(go()) == 384 << 20


def test_a_full_saver_makes_the_workers_wait(tmp_path: Path) -> None:
    async def go() -> None:
        url = f"sqlite:///{tmp_path}/a.db"
        saver = Saver(url, 3600, "me")
        await saver.take_over("r")
        store = saver._store.store
        assert store is not None
        store.commit_size = 10
        saver._pending.most = 20_000  # some five batches
        db = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        adding = [
            asyncio.create_task(saver.add(named(f"r:{i}"), counts_of("a", "b", "c"), rows()))
            for i in range(20)
        ]
        done, waiting = await asyncio.wait(adding, timeout=1)
        assert 4 <= len(done) <= 6
        db.execute("ROLLBACK")
        db.close()
        await asyncio.wait(waiting)
        await saver.drain()
        assert len((await saver.report(0)).committed) == 20

    asyncio.run(go())
    assert content(tmp_path / "a.db")[0] == {"p": 20}


def test_a_full_flush_is_merged_while_the_one_before_it_is_written(tmp_path: Path) -> None:
    async def go() -> None:
        saver = Saver(f"sqlite:///{tmp_path}/a.db", 3600, "me")
        await saver.take_over("r")
        saver._pending.most = 20_000  # in halves of some two or three batches
        with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            batches = [saver.add(named(f"r:{i}"), counts_of("a"), rows()) for i in range(6)]
            adding = asyncio.gather(*batches)
            flushes = saver._pending._flushes
            while len(flushes) < 2 or flushes[1].sum._sums.of < len(flushes[1].batches):
                await asyncio.sleep(0.01)
            db.execute("ROLLBACK")
        await adding
        await saver.drain()

    asyncio.run(asyncio.wait_for(go(), PATIENCE))
    assert content(tmp_path / "a.db") == ({"p": 6}, {("p", "a", "ORG"): 6})


def test_what_comes_all_at_once_makes_commits_as_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is merged it looks like more than it is."""
    monkeypatch.setattr(sums, "_TOGETHER", 400_000)
    every = [counts_of(*map(str, range(n, n + 3000))) for n in range(150)]

    async def first_commit(name: str, at_once: bool) -> int:
        saver = Saver(f"sqlite:///{tmp_path}/{name}.db", 3600, "me")
        await saver.take_over("r")
        saver._pending.most = 4_000_000
        await saver.add(named("r:0"), every[0], rows())
        first = saver._pending.first
        assert first
        tasks = []
        for number, counts in enumerate(every[1:], start=1):
            tasks.append(asyncio.create_task(saver.add(named(f"r:{number}"), counts, rows())))
            if not at_once:
                await asyncio.sleep(0)
                while len(saver._tasks) > 1:  # until it is merged
                    await asyncio.sleep(0.001)
        async with asyncio.timeout(PATIENCE):
            while not first.closed:
                await asyncio.sleep(0.001)
        size = len(first.batches)
        await asyncio.gather(*tasks)
        await saver.drain()
        return size

    slowly = asyncio.run(first_commit("a", at_once=False))
    assert asyncio.run(first_commit("b", at_once=True)) > 0.7 * slowly
    assert content(tmp_path / "a.db") == content(tmp_path / "b.db")


@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_what_could_not_be_merged_is_committed_and_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(_: sums.Sum) -> None:
        raise error

    monkeypatch.setattr(sums, "_TOGETHER", 40_000)
    monkeypatch.setattr(sums.Sum, "merge_some", fail)

    async def go() -> None:
        saver = Saver(f"sqlite:///{tmp_path}/a.db", 3600, "me")
        await saver.take_over("r")
        counts = counts_of(*map(str, range(300)))
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(
                *[saver.add(named(f"r:{number}"), counts, rows()) for number in range(40)]
            )
            await saver.drain()

    asyncio.run(go())
    assert content(tmp_path / "a.db")[0] == {"p": 40}


def test_late_copies_of_what_is_forgotten_are_not_counted(tmp_path: Path) -> None:
    """A copy may come after the commit and wait for another one when its batch is forgotten."""

    async def go() -> None:
        saver = Saver(f"sqlite:///{tmp_path}/a.db", 3600, "me")
        batches = ["r:1", "r:2.0", "r:2.1"]
        for batch in batches:
            await saver.add(named(batch), counts_of("a"), rows())
        await saver.drain()
        for batch in batches:
            await saver.add(named(batch), counts_of("a"), rows())
        await saver.forget("r", 2)
        await saver.add(named("r:3"), counts_of("a"), rows())
        await saver.drain()
        for batch in batches:
            await saver.add(named(batch), counts_of("a"), rows())
        await saver.drain()
        await saver.add(named("r:4"), counts_of("a"), rows())
        await saver.drain()
        assert set(await saver.take_over("r")) == {named("r:3"), named("r:4")}

    asyncio.run(go())
    assert content(tmp_path / "a.db")[0] == {"p": 5}


def test_trouble_is_told_and_passes(tmp_path: Path) -> None:
    async def go() -> None:
        folder = tmp_path / "later"
        saver = Saver(f"sqlite:///{folder}/a.db", 0, "me")
        adding = asyncio.create_task(saver.add(named("r:1"), counts_of("a"), rows()))
        report = await saver.report(0)
        assert "unable to open" in report.trouble
        assert not report.committed
        folder.mkdir()
        while not report.committed:
            report = await saver.report(0)
        await adding
        assert report.trouble == ""

    asyncio.run(go())


def test_draining_ends_while_more_comes(tmp_path: Path) -> None:
    async def go() -> None:
        saver = Saver(f"sqlite:///{tmp_path}/a.db", 3600, "me")
        await saver.add(named("r:0"), counts_of("a"), rows())
        ended = asyncio.Event()

        async def feed() -> None:
            for i in itertools.count(1):
                if ended.is_set():
                    return
                await saver.add(named(f"r:{i}"), counts_of("a"), rows())
                await asyncio.sleep(0.005)  # the store's thread must have its turns

        feeding = asyncio.create_task(feed())
        async with asyncio.timeout(PATIENCE):
            await saver.drain()
        ended.set()
        await feeding
        assert named("r:0") in open_store(f"sqlite:///{tmp_path}/a.db").ledger("r")

    asyncio.run(go())
