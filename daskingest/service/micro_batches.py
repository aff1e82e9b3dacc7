"""When a micro-batch begins, and which of the waiting articles are in it.

While workers are idle a batch begins at once; while they are busy batches grow, up to their limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from daskingest.articles import Article

_OVERHEAD = 200  # bytes that an article costs besides its text

Reason = Literal["count", "bytes", "idle", "drain", "age", "restart"]
"""Why a batch began: it was full, by either measure; a worker was idle; the service was draining;
its oldest article had waited long enough; or it had begun before a restart.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a micro-batch is full, and how long it may take to be so while workers are busy."""

    articles: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """The articles that are in no batch yet. `oldest` is when the first of them came.

    Times are in seconds since 1970.
    """

    articles: int
    bytes: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Demand:
    """Who asks for a batch, and when: an idle worker, or another; a service that drains, or not."""

    idle: bool
    drain: bool
    now: float


@dataclass(slots=True)
class MicroBatch:
    """Articles that are counted together. `ranges` has their first and last numbers, by chunk."""

    reason: Reason
    articles: list[Article] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    bytes: int = 0

    def has_room(self, size: int, limits: Limits) -> bool:
        """Whether an article of that size may come in. One that is larger stands alone."""
        if not self.articles:
            return True
        return len(self.articles) < limits.articles and self.bytes + size <= limits.bytes


def size_of(article: Article) -> int:
    """What an article takes in the spool, about, in bytes."""
    content = article.content
    size = len(content) if content.isascii() else len(content.encode())
    return size + len(article.publication) + _OVERHEAD


def due(waiting: Waiting, limits: Limits, demand: Demand) -> Reason | None:
    """Why a batch begins now; None if none does."""
    if not waiting.articles:
        return None
    if waiting.articles >= limits.articles:
        return "count"
    if waiting.bytes >= limits.bytes:
        return "bytes"
    if demand.idle:
        return "idle"
    if demand.drain:
        return "drain"
    return "age" if demand.now - waiting.oldest >= limits.seconds else None


def fill(
    reason: Reason, chunks: Iterable[tuple[int, Sequence[Article]]], limits: Limits
) -> MicroBatch:
    """The first of the waiting articles, as many as a batch may have.

    They come in chunks, each with its first article's number, which are asked for one by one.
    """
    batch = MicroBatch(reason)
    for first, articles in chunks:
        before = len(batch.articles)
        for article in articles:
            size = size_of(article)
            if not batch.has_room(size, limits):
                break
            batch.articles.append(article)
            batch.bytes += size
        taken = len(batch.articles) - before
        if taken:
            batch.ranges.append((first, first + taken - 1))
        if taken < len(articles):
            break
    if reason == "count" and len(batch.articles) < limits.articles:
        batch.reason = "bytes"
    return batch
