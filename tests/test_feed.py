"""From the spool to the driver and back: nothing is forgotten before the store has it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from daskingest.articles import Article
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.events import Finished
from daskingest.service.feed import Feed, Forgetter, InFlight
from daskingest.service.metrics import Metrics
from daskingest.service.micro_batches import Limits
from daskingest.service.rejects import SpoolRejects
from daskingest.service.spool import Spool
from daskingest.tally import Tally

LIMITS = Limits(articles=2, bytes=1 << 20, seconds=3600)


class Bench:
    """A real spool, and what is around it. The driver is the test itself."""

    def __init__(self, folder: Path) -> None:
        self.spool = Spool(folder)
        self.metrics = Metrics(0)
        self.in_flight = InFlight()
        self.rejects = folder / "rejects.jsonl"
        self.woken = 0
        self.feed = Feed(self.spool, LIMITS, self.metrics, self.in_flight, self.wake)
        self.forgetter = Forgetter(
            self.spool, SpoolRejects(self.rejects), self.metrics, self.in_flight
        )
        self.forgotten: list[int] = []
        """Up to which batch, each time."""
        self.at_forgetting: list[tuple[int, bool]] = []

    def wake(self) -> None:
        self.woken += 1

    async def forget(self) -> None:
        """The ledger's part. Notes what the spool had, and whether there were rejects."""
        self.forgotten.append(self.spool.forgotten_up_to)
        self.at_forgetting.append((self.spool.articles, self.rejects.exists()))

    async def take(self, most: int = 9, idle: int = 0) -> list[Batch]:
        batches = await self.feed.take(most, idle)
        assert batches is not None
        return batches

    async def see_through(self, *finished: Finished) -> None:
        """Tell it of these, in order, and let it end."""
        running = asyncio.create_task(self.forgetter.run(self.forget))
        for each in finished:
            await self.forgetter.finished(each)
        self.forgetter.end()
        await running


def with_bench(folder: Path, work: Callable[[Bench], Awaitable[None]]) -> None:
    async def go() -> None:
        bench = Bench(folder)
        with closing(bench.spool), closing(bench.feed):
            await work(bench)

    asyncio.run(go())


def articles(first: int, number: int) -> list[Article]:
    return [Article(f"text {i}", "P", str(i)) for i in range(first, first + number)]


def ids(batch: Batch) -> list[str | None]:
    return [each.id for each in batch.rows() if isinstance(each, Article)]


def done(batch: Batch, tally: Tally, last: bool = True) -> Finished:
    return Finished(batch, tally, None, fresh=True, last=last)


def rejected() -> Tally:
    """Of an article that killed its worker."""
    tally = Tally(rows=1)
    tally.reject(0, "killed its worker")
    return tally


def test_batches_are_counted_and_forgotten(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        assert await bench.take() == []
        await bench.spool.add(articles(0, 5))
        batches = await bench.take(idle=9)
        assert [str(each.id) for each in batches] == [f"{bench.spool.id}:{n}" for n in (1, 2, 3)]
        assert [ids(each) for each in batches] == [["0", "1"], ["2", "3"], ["4"]]
        assert (len(bench.in_flight), bench.in_flight.articles) == (3, 5)
        first, second, third = batches
        two = Tally(rows=2, articles=2, text_words=4, entities=1)
        await bench.see_through(done(second, two), done(first, two))
        assert bench.forgotten[-1] == 2
        assert (bench.spool.articles, bench.spool.unfinished()) == (1, [3])
        assert list(bench.in_flight) == [third.id]
        assert bench.metrics.saved_articles == 4
        assert bench.at_forgetting[-1] == (1, False)

    with_bench(tmp_path, work)


def test_what_an_earlier_process_left_comes_first(tmp_path: Path) -> None:
    async def leave(bench: Bench) -> None:
        await bench.spool.add(articles(0, 6))
        assert len(await bench.take(2)) == 2

    async def take_up(bench: Bench) -> None:
        assert [ids(each) for each in await bench.take(1)] == [["0", "1"]]
        assert [ids(each) for each in await bench.take(9)] == [["2", "3"]]
        assert [ids(each) for each in await bench.take(9)] == [["4", "5"]]
        assert bench.in_flight.articles == 6

    with_bench(tmp_path, leave)
    with_bench(tmp_path, take_up)


def test_a_batch_in_parts_is_forgotten_after_its_last(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.spool.add(articles(0, 2))
        [batch] = await bench.take()
        one, two = batch.parts(1)
        bad = rejected()
        await bench.forgetter.finished(done(one, Tally(rows=1, articles=1), last=False))
        assert bench.spool.articles == 2
        await bench.see_through(done(two, bad))
        assert bench.forgotten == [1]
        assert bench.at_forgetting == [(0, True)]
        [reject] = map(json.loads, bench.rejects.read_text().splitlines())
        assert reject == {
            "place": f"{batch.id}#1",
            "reason": "killed its worker",
            "content": "text 1",
            "publication": "P",
            "id": "1",
        }
        assert bench.metrics.rejects == Counter({"killed its worker": 1})
        assert bench.metrics.saved_articles == 1

    with_bench(tmp_path, work)


def test_what_is_told_again_after_the_scheduler_was_lost_is_measured_once(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.spool.add(articles(0, 2))
        [batch] = await bench.take()
        one, two = batch.parts(1)
        bad = rejected()
        await bench.forgetter.finished(done(one, bad, last=False))
        bench.in_flight.clear()
        with closing(Feed(bench.spool, LIMITS, bench.metrics, bench.in_flight, bench.wake)) as feed:
            await feed.take(9, 0)
            good = Tally(rows=1, articles=1)
            await bench.see_through(done(one, bad, last=False), done(two, good))
        assert bench.metrics.rejects == Counter({"killed its worker": 1})
        assert bench.metrics.saved_articles == 1
        assert len(bench.rejects.read_text().splitlines()) == 1

    with_bench(tmp_path, work)


def test_draining_ends_when_all_is_taken(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.spool.add(articles(0, 3))
        bench.feed.draining = True
        assert [ids(each) for each in await bench.take(9)] == [["0", "1"], ["2"]]
        assert await bench.feed.take(9, 0) is None

    with_bench(tmp_path, work)


def test_articles_that_wait_are_asked_for_again(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.take()
        assert bench.feed._timer is None
        await bench.spool.add(articles(0, 1))
        assert await bench.take(9, idle=0) == []
        timer = bench.feed._timer
        assert timer is not None
        assert await bench.take(9, idle=0) == []
        assert bench.feed._timer is timer  # one is enough
        bench.feed._on_timer()
        assert bench.woken == 1
        assert await bench.take(9, idle=0) == []
        assert bench.feed._timer is not timer

    with_bench(tmp_path, work)


def test_a_disk_that_is_full_is_tried_again(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.spool.add(articles(0, 2))
        db = bench.spool._tables._db
        db.execute("PRAGMA query_only = on")
        assert await bench.take() == []
        assert bench.feed._timer is not None
        assert bench.spool.waiting == 2
        db.execute("PRAGMA query_only = off")
        assert [ids(each) for each in await bench.take()] == [["0", "1"]]

    with_bench(tmp_path, work)


def test_rejects_are_on_disk_before_the_spool_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("daskingest.service.feed._RETRY_SECONDS", 0)

    async def work(bench: Bench) -> None:
        await bench.spool.add(articles(0, 2))
        [batch] = await bench.take()
        tally = Tally(rows=2, articles=1)
        tally.reject(1, "extraction failed")
        bench.rejects.mkdir()  # nothing can be written there
        running = asyncio.create_task(bench.forgetter.run(bench.forget))
        await bench.forgetter.finished(done(batch, tally))
        while not caplog.messages:
            await asyncio.sleep(0)
        assert "rejects.jsonl" in caplog.messages[0]
        assert (bench.spool.articles, bench.forgotten) == (2, [])
        bench.rejects.rmdir()
        bench.forgetter.end()
        await running
        assert bench.at_forgetting == [(0, True)]
        assert len(bench.rejects.read_text().splitlines()) == 1

    with_bench(tmp_path, work)
