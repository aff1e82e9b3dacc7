"""The part of the spool's file that is kept in memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from daskingest.service.micro_batches import Waiting


@dataclass(slots=True)
class Chunk:
    """Articles [first, last] that arrived together; those after `taken` are in no batch yet."""

    first: int
    last: int
    taken: int
    received: float


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch's number of articles, their bytes, and when the oldest arrived (since 1970)."""

    articles: int
    bytes: int
    received: float


@dataclass(slots=True)
class SpoolState:
    """What is in the file; loaded at the start, and again after a rolled-back transaction."""

    next: int = 1  # article's number
    last_number: int = 0  # of a batch
    chunks: deque[Chunk] = field(default_factory=deque)  # with articles in no batch
    articles: int = 0  # all
    bytes: int = 0
    waiting_articles: int = 0  # those in no batch
    waiting_bytes: int = 0
    batches: dict[int, BatchRecord] = field(default_factory=dict)

    @property
    def waiting(self) -> Waiting:
        """The articles in no batch."""
        oldest = self.chunks[0].received if self.chunks else 0.0
        return Waiting(self.waiting_articles, self.waiting_bytes, oldest)

    def show(self, chunk: Chunk, size: int) -> None:
        """Make a chunk's articles, `size` bytes, available for batches."""
        self.chunks.append(chunk)
        self.waiting_articles += chunk.last - chunk.taken
        self.waiting_bytes += size

    def add_batch(self, number: int, batch: BatchRecord) -> None:
        """Move waiting articles into a batch."""
        self.batches[number] = batch
        self.last_number = number
        self.waiting_articles -= batch.articles
        self.waiting_bytes -= batch.bytes
