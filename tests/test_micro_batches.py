"""When a micro-batch begins, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskingest.articles import Article
from daskingest.service.micro_batches import Demand, Limits, Reason, Waiting, due, fill, size_of

LIMITS = Limits(articles=10, bytes=5_000, seconds=0.5)
Chunks = list[tuple[int, list[Article]]]


@pytest.mark.parametrize(
    ("waiting", "demand", "reason"),
    [
        (Waiting(0, 0, 0), Demand(True, True, 100), None),
        (Waiting(1, 1, 100), Demand(False, False, 100), None),
        (Waiting(10, 1, 100), Demand(True, True, 200), "count"),
        (Waiting(9, 5_000, 100), Demand(True, True, 200), "bytes"),
        (Waiting(9, 4_999, 100), Demand(True, True, 200), "idle"),
        (Waiting(9, 4_999, 100), Demand(False, True, 200), "drain"),
        (Waiting(9, 4_999, 100), Demand(False, False, 100.5), "age"),
        (Waiting(9, 4_999, 100), Demand(False, False, 100.25), None),
    ],
)
def test_why_a_batch_begins(waiting: Waiting, demand: Demand, reason: str | None) -> None:
    assert due(waiting, LIMITS, demand) == reason


@given(
    articles=st.integers(0, 20),
    size=st.integers(0, 10_000),
    oldest=st.floats(0, 10),
    idle=st.booleans(),
    drain=st.booleans(),
    now=st.floats(0, 10),
)
def test_nothing_waits_for_nothing(
    articles: int, size: int, oldest: float, idle: bool, drain: bool, now: float
) -> None:
    reason = due(Waiting(articles, size, oldest), LIMITS, Demand(idle, drain, now))
    assert articles or reason is None
    full = articles >= LIMITS.articles or size >= LIMITS.bytes
    old = now - oldest >= LIMITS.seconds
    assert bool(reason) == bool(articles and (full or idle or drain or old))


sizes = st.lists(st.lists(st.integers(0, 6_000), min_size=1, max_size=15), max_size=6)


def chunks_of(sizes: list[list[int]]) -> Chunks:
    """Chunks of articles of these lengths, numbered from 7, with a gap after each chunk."""
    chunks: Chunks = []
    number = 7
    for each in sizes:
        chunks.append(
            (number, [Article("x" * size, "P", str(number + i)) for i, size in enumerate(each)])
        )
        number += len(each) + 1
    return chunks


def numbers(ranges: list[tuple[int, int]]) -> list[str]:
    return [str(number) for first, last in ranges for number in range(first, last + 1)]


@given(sizes)
def test_batches_have_all_articles_in_order_within_their_limits(
    sizes: list[list[int]],
) -> None:
    left = chunks_of(sizes)
    every = [article for _, articles in left for article in articles]
    seen: list[Article] = []
    while left:
        batch = fill("count", left, LIMITS)
        assert batch.articles
        assert numbers(batch.ranges) == [article.id for article in batch.articles]
        assert batch.bytes == sum(map(size_of, batch.articles))
        assert len(batch.articles) <= LIMITS.articles
        assert batch.bytes <= LIMITS.bytes or len(batch.articles) == 1
        assert batch.reason == ("count" if len(batch.articles) == LIMITS.articles else "bytes")
        seen += batch.articles
        if len(seen) < len(every):  # it took all that it could
            more = size_of(every[len(seen)])
            full = len(batch.articles) == LIMITS.articles
            assert full or batch.bytes + more > LIMITS.bytes
        left = without(left, batch.ranges)
    assert seen == every


def without(chunks: Chunks, ranges: list[tuple[int, int]]) -> Chunks:
    """What is left of the chunks when a batch has these numbers."""
    gone = set(numbers(ranges))
    left: Chunks = []
    for _, articles in chunks:
        rest = [article for article in articles if article.id not in gone]
        if rest:
            left.append((int(rest[0].id or 0), rest))
    return left


@pytest.mark.parametrize("reason", ["bytes", "idle", "drain", "age"])
def test_a_batch_keeps_the_reason_that_it_began_for(reason: Reason) -> None:
    batch = fill(reason, chunks_of([[1] * 30]), LIMITS)
    assert (batch.reason, len(batch.articles)) == (reason, 10)


def test_chunks_are_read_as_far_as_needed() -> None:
    asked: list[int] = []

    def chunks() -> Iterator[tuple[int, list[Article]]]:
        for first, articles in chunks_of([[1] * 6, [1] * 6, [1] * 6]):
            asked.append(first)
            yield first, articles

    batch = fill("count", chunks(), LIMITS)
    assert (asked, batch.ranges) == ([7, 14], [(7, 12), (14, 17)])
