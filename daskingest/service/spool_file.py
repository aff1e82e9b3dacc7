"""The tables of the spool's file.

Articles are numbered in the order in which they arrive. Articles that arrive together are packed
into one row, a chunk; a batch is a list of ranges of article numbers.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence

import msgpack

from daskingest.articles import Article
from daskingest.grouping import grouped
from daskingest.service.micro_batches import MicroBatch, size_of
from daskingest.service.spool_state import BatchRecord, Chunk, SpoolState
from daskingest.sqlite_file import SqliteSchema

SCHEMA = SqliteSchema(
    application_id=0x64695350,  # "diSP"
    version=1,
    script="""
CREATE TABLE spool (id TEXT NOT NULL);
CREATE TABLE articles (first INTEGER PRIMARY KEY, packed BLOB NOT NULL);
CREATE TABLE chunks (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    unsaved INTEGER NOT NULL,
    received REAL NOT NULL,
    upload INTEGER
);
CREATE TABLE batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    ranges TEXT NOT NULL,
    articles INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    received REAL NOT NULL
);
CREATE TABLE answers (
    key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    answer TEXT NOT NULL,
    given REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO spool VALUES ('spool-' || lower(hex(randomblob(16))))
""",
)

_CHUNK_BYTES = 1 << 20  # of articles packed together, at most
_CHUNKS = "SELECT first, last, taken, received, upload FROM chunks"


class SpoolFile:
    """Reads and changes the tables. To be used inside transactions, on one thread.

    Other threads may read `state`, which has the current numbers.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._coming: list[Article] = []
        self.state = SpoolState()
        [(spool_id,)] = db.execute("SELECT id FROM spool").fetchall()
        self.id: str = spool_id

    def before_commit(self) -> None:
        """Pack the articles of all this transaction's requests together."""
        if self._coming:
            self._insert(self._coming, None)
            self._coming = []

    def reload(self) -> None:
        """Load the state from the file."""
        db, state = self._db, SpoolState()
        self._coming = []
        [(last,)] = db.execute("SELECT max(last) FROM chunks").fetchall()
        state.next = (last or 0) + 1
        for chunk, upload in self._chunks(f"{_CHUNKS} ORDER BY received, first"):
            articles = self._read(chunk.taken + 1, chunk.last)
            size = sum(map(size_of, articles))
            state.articles += len(articles)
            state.bytes += size
            if upload is None and articles:
                state.show(chunk, size)
        for number, *fields in db.execute("SELECT number, articles, bytes, received FROM batches"):
            batch = state.batches[number] = BatchRecord(*fields)
            state.articles += batch.articles
            state.bytes += batch.bytes
        self.state = state

    # Arriving articles.

    def add(self, articles: Sequence[Article]) -> None:
        """Add articles."""
        self._coming += articles

    def stage(self, articles: Sequence[Article], upload: int) -> None:
        """Add articles that are in no batch before `show_staged`."""
        self.before_commit()
        self._insert(articles, upload)

    def show_staged(self, upload: int) -> None:
        """Make the staged articles available for batches."""
        for chunk, _ in self._chunks(f"{_CHUNKS} WHERE upload = ? ORDER BY first", upload):
            size = sum(map(size_of, self._read(chunk.first, chunk.last)))
            self.state.show(chunk, size)
        self._db.execute("UPDATE chunks SET upload = NULL WHERE upload = ?", (upload,))

    def drop_staged(self, upload: int) -> None:
        """Drop what was staged."""
        for chunk, _ in self._chunks(f"{_CHUNKS} WHERE upload = ?", upload):
            articles = self._read(chunk.first, chunk.last)
            self.state.articles -= len(articles)
            self.state.bytes -= sum(map(size_of, articles))
            self._delete_chunk(chunk.first)

    def drop_all_staged(self) -> None:
        """Drop what an earlier process had staged. Does not change the state."""
        for chunk, _ in self._chunks(f"{_CHUNKS} WHERE upload IS NOT NULL"):
            self._delete_chunk(chunk.first)

    # Batches.

    def waiting_articles(self) -> Iterator[tuple[int, list[Article]]]:
        """The articles in no batch, by chunk: the number of the first one, and the articles."""
        for chunk in self.state.chunks:
            first = chunk.taken + 1
            yield first, self._read(first, chunk.last)

    def add_batch(self, batch: MicroBatch) -> tuple[int, float]:
        """Store which articles are in a batch; they are the first of those waiting.

        Returns the batch's number, and when its oldest article arrived.
        """
        db, state = self._db, self.state
        received = state.waiting.oldest
        for _, last in batch.ranges:
            chunk = state.chunks[0]
            chunk.taken = last
            db.execute("UPDATE chunks SET taken = ? WHERE first = ?", (last, chunk.first))
            if last == chunk.last:
                state.chunks.popleft()
        stored = BatchRecord(len(batch.articles), batch.bytes, received)
        cursor = db.execute(
            "INSERT INTO batches (ranges, articles, bytes, received) VALUES (?, ?, ?, ?)",
            (json.dumps(batch.ranges), stored.articles, stored.bytes, stored.received),
        )
        number = cursor.lastrowid or 0
        state.add_batch(number, stored)
        return number, received

    def batch_articles(self, number: int) -> list[Article]:
        """The articles of a batch."""
        return [
            article for first, last in self._ranges(number) for article in self._read(first, last)
        ]

    def forget_batch(self, number: int) -> None:
        """Delete a batch and its articles, if it exists."""
        for first, last in self._ranges(number):
            self._forget_saved(first, last)
        self._db.execute("DELETE FROM batches WHERE number = ?", (number,))
        batch = self.state.batches.pop(number, None)
        if batch is not None:
            self.state.articles -= batch.articles
            self.state.bytes -= batch.bytes

    # Rows of the tables.

    def _insert(self, articles: Sequence[Article], upload: int | None) -> None:
        """Pack articles into chunks; those of an upload are not available for batches yet."""
        db, state, received = self._db, self.state, time.time()
        for part in grouped(articles, size_of, _CHUNK_BYTES):
            chunk = Chunk(state.next, state.next + len(part) - 1, state.next - 1, received)
            packed = msgpack.packb([(a.content, a.publication, a.id) for a in part])
            db.execute("INSERT INTO articles VALUES (?, ?)", (chunk.first, packed))
            values = (chunk.first, chunk.last, chunk.taken, len(part), received, upload)
            db.execute("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)", values)
            size = sum(map(size_of, part))
            state.next += len(part)
            state.articles += len(part)
            state.bytes += size
            if upload is None:
                state.show(chunk, size)

    def _chunks(self, query: str, *values: object) -> list[tuple[Chunk, int | None]]:
        rows = self._db.execute(query, values).fetchall()
        return [(Chunk(*fields), upload) for *fields, upload in rows]

    def _ranges(self, number: int) -> list[tuple[int, int]]:
        found = self._db.execute("SELECT ranges FROM batches WHERE number = ?", (number,))
        return [(first, last) for (text,) in found for first, last in json.loads(text)]

    def _read(self, first: int, last: int) -> list[Article]:
        """Articles of one chunk, by their numbers."""
        if first > last:
            return []
        found = "SELECT first, packed FROM articles WHERE first <= ? ORDER BY first DESC LIMIT 1"
        [(start, packed)] = self._db.execute(found, (first,)).fetchall()
        rows = msgpack.unpackb(packed)[first - start : last - start + 1]
        return [Article(*row) for row in rows]

    def _forget_saved(self, first: int, last: int) -> None:
        """Note that the store has these articles of a chunk; once it has all, delete the chunk."""
        found = "SELECT first, unsaved FROM chunks WHERE first <= ? ORDER BY first DESC LIMIT 1"
        [(start, unsaved)] = self._db.execute(found, (first,)).fetchall()
        unsaved -= last - first + 1
        if unsaved:
            self._db.execute("UPDATE chunks SET unsaved = ? WHERE first = ?", (unsaved, start))
        else:
            self._delete_chunk(start)

    def _delete_chunk(self, first: int) -> None:
        self._db.execute("DELETE FROM chunks WHERE first = ?", (first,))
        self._db.execute("DELETE FROM articles WHERE first = ?", (first,))
