"""The saver by itself, on a real store."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from program import content

from daskingest.counts import Counts
from daskingest.saver import Saver
from daskingest.stores import open_store


def counts_of(*words: str) -> Counts:
    counts = Counts()
    counts.add_article("P", [(word, "ORG") for word in words])
    return counts


def test_batches_are_committed_together_and_once(tmp_path: Path) -> None:
    async def go() -> None:
        saver = Saver(f"sqlite:///{tmp_path}/a.db", 3600)
        for _ in range(2):
            await saver.add("r:1", counts_of("a"), {"n": 1})
            await saver.add("r:2", counts_of("a", "b"), {"n": 2})
        await saver.drain()
        report = await saver.report(0)
        assert report.committed == {"r:1": {"n": 1}, "r:2": {"n": 2}}
        assert (await saver.report(0)).committed == report.committed
        await saver.add("r:1", counts_of("a"), {"n": 9})
        await saver.drain()
        assert (await saver.report(report.next)).committed == {"r:1": {"n": 1}}
        assert await saver.ledger("r") == report.committed

    asyncio.run(go())
    assert content(tmp_path / "a.db") == ({"p": 2}, {("p", "a", "ORG"): 2, ("p", "b", "ORG"): 1})


def test_two_savers_of_one_store_count_once(tmp_path: Path) -> None:
    async def go() -> None:
        savers = [Saver(f"sqlite:///{tmp_path}/a.db", 0.01) for _ in range(2)]
        work = [saver.add(f"r:{i}", counts_of("a"), {}) for i in range(50) for saver in savers]
        await asyncio.gather(*work)
        await asyncio.gather(*(saver.drain() for saver in savers))
        for saver in savers:
            assert set((await saver.report(0)).committed) == {f"r:{i}" for i in range(50)}

    asyncio.run(go())
    assert content(tmp_path / "a.db")[0] == {"p": 50}


def test_a_full_saver_makes_the_workers_wait(tmp_path: Path) -> None:
    async def go() -> None:
        url = f"sqlite:///{tmp_path}/a.db"
        saver = Saver(url, 3600)
        saver._store = open_store(url, create=True)
        saver._store.commit_size = 10
        saver._most_pending = 20
        db = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        adding = [
            asyncio.create_task(saver.add(f"r:{i}", counts_of("a", "b", "c"), {}))
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


def test_trouble_is_told_and_passes(tmp_path: Path) -> None:
    async def go() -> None:
        folder = tmp_path / "later"
        saver = Saver(f"sqlite:///{folder}/a.db", 0)
        await saver.add("r:1", counts_of("a"), {})
        report = await saver.report(0)
        assert "unable to open" in report.trouble
        assert not report.committed
        folder.mkdir()
        while not report.committed:
            report = await saver.report(0)
        assert report.trouble == ""

    asyncio.run(go())
