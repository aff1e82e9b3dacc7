"""Taking articles: what a request gives is taken whole, once, and is counted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskingest.articles import Article
from daskingest.service.answers import IdempotencyKey
from daskingest.service.intake import (
    Draining,
    Intake,
    KeyConflict,
    NotWritten,
    Refused,
    SizedArticles,
    SpoolFull,
)
from daskingest.service.metrics import Metrics
from daskingest.service.micro_batches import Limits
from daskingest.service.spool import Spool

LIMITS = Limits(articles=1_000, bytes=1 << 20, seconds=1)


class Bench:
    """A real spool with an intake before it."""

    def __init__(self, folder: Path, max_bytes: int = 1 << 20) -> None:
        self.spool = Spool(folder)
        self.metrics = Metrics(0)
        self.woken = 0
        self.intake = Intake(self.spool, self.metrics, max_bytes, self.wake)

    def wake(self) -> None:
        self.woken += 1

    @property
    def operations(self) -> list[str]:
        """What was written to the spool from now on, statement by statement."""
        statements: list[str] = []
        self.spool._tables._db.set_trace_callback(statements.append)
        return statements

    @property
    def counted(self) -> tuple[int, int, dict[str, int]]:
        metrics = self.metrics
        return metrics.accepted, metrics.duplicates, dict(metrics.rejects)

    async def texts(self) -> list[str]:
        """What the spool has, in order."""
        batches = await self.spool.release(1_000, 0, LIMITS, drain=True)
        rows = [row for batch in batches for row in batch.articles]
        return [row.content for row in rows if isinstance(row, Article)]


def with_bench(folder: Path, work: Callable[[Bench], Awaitable[None]], **options: int) -> None:
    async def go() -> None:
        bench = Bench(folder, **options)
        with closing(bench.spool):
            await work(bench)

    asyncio.run(go())


def part(*texts: str) -> SizedArticles:
    return SizedArticles.of([Article(text, "P") for text in texts])


def test_one_part_is_one_operation(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        operations = bench.operations
        async with bench.intake.submission() as submission:
            await submission.stage(part("a", "b"))
            assert operations == []
            answer = await submission.accept({"accepted": 2})
        assert (answer.body, answer.repeated) == ({"accepted": 2}, False)
        assert operations.count("COMMIT") == 1
        assert (bench.counted, bench.woken) == ((2, 0, {}), 1)
        assert await bench.texts() == ["a", "b"]

    with_bench(tmp_path, work)


def test_parts_are_on_disk_as_they_come_and_taken_together(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        async with bench.intake.submission() as submission:
            for text in "abc":
                await submission.stage(part(text))
            assert (bench.spool.articles, bench.spool.waiting, bench.woken) == (3, 0, 0)
            await submission.stage(part())
            await submission.accept({"accepted": 3}, None, {"no content": 2, "not JSON": 1})
        assert bench.counted == (3, 0, {"no content": 2, "not JSON": 1})
        assert await bench.texts() == ["a", "b", "c"]

    with_bench(tmp_path, work)


@pytest.mark.parametrize("parts", [1, 3])
def test_a_repeated_request_counts_once(tmp_path: Path, parts: int) -> None:
    async def submit(bench: Bench, digest: str = "d") -> bool:
        async with bench.intake.submission() as submission:
            for number in range(parts):
                await submission.stage(part(f"{number}"))
            answer = await submission.accept(
                {"n": parts}, IdempotencyKey("k", digest), {"not JSON": 1}
            )
        assert answer.body == {"n": parts}
        return answer.repeated

    async def work(bench: Bench) -> None:
        assert not await submit(bench)
        assert await submit(bench)
        with pytest.raises(KeyConflict, match="another body") as refused:
            await submit(bench, "other")
        assert (refused.value.reason, refused.value.articles) == (
            "idempotency key used before",
            parts,
        )
        assert (bench.counted, bench.woken) == ((parts, parts, {"not JSON": 1}), 1)
        assert bench.spool.articles == parts

    with_bench(tmp_path, work)


@pytest.mark.parametrize("parts", [0, 1, 2, 3])
@pytest.mark.parametrize("error", [None, KeyError, asyncio.CancelledError])
def test_who_leaves_early_has_given_nothing(
    tmp_path: Path, parts: int, error: type[BaseException] | None
) -> None:
    async def leave(bench: Bench) -> None:
        async with bench.intake.submission() as submission:
            for number in range(parts):
                await submission.stage(part(f"{number}"))
            if error is not None:
                raise error

    async def work(bench: Bench) -> None:
        if error is None:
            await leave(bench)
        else:
            with pytest.raises(error):
                await leave(bench)
        assert (bench.spool.articles, bench.spool.bytes, bench.spool.waiting) == (0, 0, 0)
        assert (bench.counted, bench.woken) == ((0, 0, {}), 0)

    with_bench(tmp_path, work)


def test_a_full_spool_takes_nothing_more(tmp_path: Path) -> None:
    one = part("a").size

    async def work(bench: Bench) -> None:
        async with bench.intake.submission() as submission:
            await submission.stage(part("a"))
            with pytest.raises(
                SpoolFull, match=r"0 of 500 bytes .*, and this request has 606 more"
            ) as it:
                await submission.stage(part("b", "c"))
        assert (it.value.reason, it.value.articles) == ("spool full", 3)
        async with bench.intake.submission() as submission:
            await submission.stage(part("a", "b"))
            await submission.accept({})
        bench.intake.check_room(500 - 2 * one - 1)
        with pytest.raises(SpoolFull):
            bench.intake.check_room(500 - 2 * one)

    with_bench(tmp_path, work, max_bytes=500)

    async def full(bench: Bench) -> None:
        with pytest.raises(SpoolFull, match="wait to be counted; try again later") as it:
            async with bench.intake.submission():
                raise AssertionError("it was let in")
        assert it.value.articles == 1

    with_bench(tmp_path, full, max_bytes=2 * one)


def test_who_drains_takes_nothing_more(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        async with bench.intake.submission() as begun:
            bench.intake.draining = True
            with pytest.raises(Draining, match="shutting down"):
                await begun.stage(part("a"))
        with pytest.raises(Draining):
            async with bench.intake.submission():
                raise AssertionError("it was let in")
        assert bench.counted == (0, 0, {})

    with_bench(tmp_path, work)


@pytest.mark.parametrize("parts", [1, 2])
def test_what_comes_as_the_last_look_is_taken_is_seen_by_it_or_refused(
    tmp_path: Path, parts: int
) -> None:
    """Else it would be acknowledged, and wait for the next start."""

    async def work(bench: Bench) -> None:
        async with bench.intake.submission() as early, bench.intake.submission() as late:
            for each in (early, late):
                for _ in range(parts):
                    await each.stage(part("a"))
            free = threading.Event()  # the disk is busy until then
            busy = asyncio.create_task(bench.spool._writer.do(free.wait))
            accepting = asyncio.create_task(early.accept({}))
            await asyncio.sleep(0)
            bench.intake.draining = True
            last_look = asyncio.create_task(bench.texts())
            await asyncio.sleep(0)
            with pytest.raises(Draining, match="shutting down"):
                await late.accept({})
            free.set()
            await busy
            await accepting
            assert await last_look == ["a"] * parts
        assert bench.spool.articles == parts

    with_bench(tmp_path, work)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_disk_that_is_full_is_told(tmp_path: Path, parts: int) -> None:
    async def work(bench: Bench) -> None:
        db = bench.spool._tables._db
        [(pages,)] = db.execute("PRAGMA page_count").fetchall()
        db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(NotWritten, match="full; nothing was accepted") as refused:
            async with bench.intake.submission() as submission:
                for _ in range(parts):
                    await submission.stage(part("x" * 100_000))
                await submission.accept({})
        assert isinstance(refused.value, Refused)
        assert (refused.value.reason, refused.value.articles) == ("spool failed", parts)
        db.execute("PRAGMA max_page_count = 1000000")
        assert (bench.spool.articles, bench.counted, bench.woken) == (0, (0, 0, {}), 0)

    with_bench(tmp_path, work)


texts_in_parts = st.lists(st.lists(st.sampled_from("abc"), max_size=3), max_size=4)


@settings(max_examples=10)
@given(st.lists(st.tuples(texts_in_parts, st.booleans()), max_size=4))
def test_what_was_accepted_is_there_in_order(
    tmp_path_factory: pytest.TempPathFactory, requests: list[tuple[list[list[str]], bool]]
) -> None:
    async def submit(bench: Bench, parts: list[list[str]], accepted: bool) -> None:
        async with bench.intake.submission() as submission:
            for texts in parts:
                await submission.stage(part(*texts))
            if accepted:
                await submission.accept({})

    async def work(bench: Bench) -> None:
        wanted: list[str] = []
        for parts, accepted in requests:
            await submit(bench, parts, accepted)
            wanted += [text for texts in parts for text in texts if accepted]
        assert (bench.spool.articles, bench.metrics.accepted) == (len(wanted), len(wanted))
        assert await bench.texts() == wanted

    with_bench(tmp_path_factory.mktemp("spool"), work)
