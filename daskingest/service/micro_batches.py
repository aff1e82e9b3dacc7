"""When a micro-batch is released, and which of the waiting articles are in it.

While workers are idle a batch is released at once; while they are busy batches grow, up to limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from daskingest.articles import Article

_OVERHEAD = 200  # bytes of an article besides its text

Reason = Literal["count", "bytes", "idle", "drain", "age", "restart"]
"""Why a batch was released: it was full, by either measure; a worker was idle; the service was
draining; its oldest article had waited long enough; or it was released before a restart.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a micro-batch is full, and how long it may wait for that while workers are busy."""

    articles: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """The articles that are in no batch yet. `oldest` is when the first of them arrived.

    Times are in seconds since 1970.
    """

    articles: int
    bytes: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Demand:
    """A request for a batch: whether a worker is idle, whether the service drains, and the time."""

    idle: bool
    drain: bool
    now: float


@dataclass(slots=True)
class MicroBatch:
    """Articles that are counted together. `ranges`: first and last number, for each chunk."""

    reason: Reason
    articles: list[Article] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    bytes: int = 0

    def has_room(self, size: int, limits: Limits) -> bool:
        """Whether an article of this size fits. One larger than the limit is a batch of its own."""
        if not self.articles:
            return True
        return len(self.articles) < limits.articles and self.bytes + size <= limits.bytes


def size_of(article: Article) -> int:
    """The approximate size of an article in the spool, in bytes."""
    content = article.content
    size = len(content) if content.isascii() else len(content.encode())
    return size + len(article.publication) + _OVERHEAD


def due(waiting: Waiting, limits: Limits, demand: Demand) -> Reason | None:
    """The reason to release a batch now; None if there is none."""
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
    """A batch of the first waiting articles, as many as a batch may have.

    The articles come in chunks, each with the number of its first article, and are read lazily.
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
