"""A week of service in fast motion: what it keeps does not grow, whatever dies on the way."""

from __future__ import annotations

import asyncio
import random
from contextlib import closing
from functools import cache
from pathlib import Path

import psutil
import pytest

from daskingest.articles import Article
from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.packed import CompressedCounts
from daskingest.pipeline.saver import Saver
from daskingest.service.micro_batches import Limits
from daskingest.service.restored import check_spool
from daskingest.service.spool import Spool
from daskingest.stores import open_store

BATCHES, AT_ONCE = 100_000, 100
ROUNDS = BATCHES // AT_ONCE
ONE_EACH = Limits(1, 1_000_000, 0.0)


@cache
def counts() -> CompressedCounts:
    found = Counts()
    found.add_article("P", [("berlin", "GPE")])
    return CompressedCounts.of(found.packed())


class Week:
    """A spool and a store, and what they and this process take."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self.url = f"sqlite:///{folder}/store.db"
        self.random = random.Random(1)
        self.owners = 0

    def sizes(self) -> tuple[int, int, int]:
        """Of the ledger, in entries, of the spool's file, and of memory, in bytes."""
        spool = sum(each.stat().st_size for each in self.folder.glob("spool.db*"))
        with open_store(self.url) as store:
            [run] = {each.run for each in self.runs}
            entries = len(store.ledger(run))
        return entries, spool, psutil.Process().memory_info().rss

    async def days(self, rounds: int) -> None:
        """From one start of the service to the next. Savers are lost now and then."""
        self.owners += 1
        owner = f"service {self.owners}"
        with closing(Spool(self.folder)) as spool:
            with open_store(self.url, create=True) as store:
                check_spool(spool, store, self.folder, take_over=False)
            await spool.add_owner(owner)
            saver = await self.saver(spool, owner)
            await spool.keep_owner(owner)
            left = spool.unfinished()
            for _ in range(rounds):
                if self.random.random() < 0.02:
                    saver = await self.saver(spool, owner)
                await spool.add([Article("text", "P")] * AT_ONCE)
                batches = await spool.release(AT_ONCE, AT_ONCE, ONE_EACH, drain=False)
                left += [each.number for each in batches]
                self.runs = [BatchId(spool.id, str(number)) for number in left]
                for each in self.runs:
                    await saver.add(each, counts(), Counted())
                    if self.random.random() < 0.01:
                        await saver.add(each, counts(), Counted())
                await saver.drain()
                done = left if self.random.random() < 0.9 else left[1:]
                await spool.forget(done)
                await saver.forget(spool.id, spool.forgotten_up_to)
                left = [number for number in left if number not in set(done)]

    async def saver(self, spool: Spool, owner: str) -> Saver:
        """Another one: the one before is lost, and what it had pending with it."""
        saver = Saver(self.url, 3600, owner)
        await saver.take_over(spool.id)
        await saver.forget(spool.id, spool.forgotten_up_to)
        return saver


@pytest.mark.slow
def test_nothing_grows_in_a_week(tmp_path: Path) -> None:
    week = Week(tmp_path)
    asyncio.run(week.days(ROUNDS // 20))
    entries, spool, memory = week.sizes()
    for _ in range(19):
        asyncio.run(week.days(ROUNDS // 20))
    entries_then, spool_then, memory_then = week.sizes()
    assert entries_then <= 2 * AT_ONCE
    assert entries <= 2 * AT_ONCE
    assert spool_then <= 2 * spool
    assert memory_then <= memory + (64 << 20)
    with open_store(week.url) as store:
        [publication] = store.publications()
    assert publication.count == BATCHES
