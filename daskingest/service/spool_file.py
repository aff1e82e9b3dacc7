"""The tables of the spool's file.

Articles are numbered in the order in which they arrive. Articles that arrive together are packed
into one row, a chunk; a batch is a list of ranges of article numbers.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from daskingest.articles import Article, Reject
from daskingest.grouping import grouped
from daskingest.service import damage
from daskingest.service.answers import Answers
from daskingest.service.damage import Damage
from daskingest.service.micro_batches import MicroBatch, size_of
from daskingest.service.packing import Unreadable, pack, unpack
from daskingest.service.spool_state import BatchRecord, Chunk, SpoolState
from daskingest.sqlite_file import SqliteSchema

_NEW_IN_2 = f"""
CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX answers_by_age ON answers (given);
{damage.SCRIPT}"""

SCHEMA = SqliteSchema(
    application_id=0x64695350,  # "diSP"
    version=2,
    script=f"""
CREATE TABLE spool (id TEXT NOT NULL, used REAL NOT NULL DEFAULT 0);
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
INSERT INTO spool (id) VALUES ('spool-' || lower(hex(randomblob(16))));
{_NEW_IN_2}""",
    # Answers of version 1 have times of the clock on the wall: they are kept for another day.
    upgrades={
        1: f"""
ALTER TABLE spool ADD COLUMN used REAL NOT NULL DEFAULT 0;
UPDATE answers SET given = 0;
{_NEW_IN_2}"""
    },
)

UNREADABLE = "cannot be read in the spool"

_CHUNK_BYTES = 1 << 20  # of articles that are packed together
_CHUNKS = "SELECT first, last, taken, received, upload FROM chunks"


class SpoolFile:
    """Reads and changes the tables. To be used inside transactions, on one thread.

    Other threads may read `state`, which has the current numbers.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._coming: list[Article] = []
        self.state = SpoolState()
        self.answers = Answers(db)
        self.damage = Damage(db)
        self.id = self._read_id()

    def before_commit(self) -> None:
        """Pack the articles of all this transaction's requests together."""
        if self._coming:
            self._insert(self._coming, None)
            self._coming = []

    def reload(self) -> None:
        """Take all from the file, and forget what was to be written."""
        self._coming = []
        self.answers.reload()
        self.damage.reload()
        self.refresh()

    def refresh(self) -> None:
        """Take the state from the file. What of it cannot be read is set aside."""
        db, state = self._db, SpoolState()
        [(last,)] = db.execute("SELECT max(last) FROM chunks").fetchall()
        state.next = (last or 0) + 1
        for chunk, upload in self._chunks(f"{_CHUNKS} ORDER BY received, first"):
            try:
                articles = self._read(chunk.taken + 1, chunk.last)
            except Unreadable as why:
                if upload is None:
                    self._lose_waiting(chunk, why)
                continue
            size = sum(map(size_of, articles))
            state.articles += len(articles)
            state.bytes += size
            if upload is None and articles:
                state.show(chunk, size)
        for (number,) in db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batches'"):
            state.last_number = number
        for number, *fields in db.execute("SELECT number, articles, bytes, received FROM batches"):
            batch = state.batches[number] = BatchRecord(*fields)
            state.articles += batch.articles
            state.bytes += batch.bytes
        self.state = state

    # Who it is.

    def renew(self) -> None:
        """Give the spool another identity, under which nothing has been counted."""
        self._db.execute("UPDATE spool SET id = 'spool-' || lower(hex(randomblob(16)))")
        self._db.execute("DELETE FROM owners")
        self.id = self._read_id()

    def owners(self) -> set[str]:
        """Who has held its run, or was about to."""
        return {owner for (owner,) in self._db.execute("SELECT owner FROM owners")}

    def add_owner(self, owner: str) -> None:
        """Somebody is about to hold its run."""
        self._db.execute("INSERT INTO owners VALUES (?)", (owner,))

    def keep_owner(self, owner: str) -> None:
        """This one holds it, and none of those before any more."""
        self._db.execute("DELETE FROM owners WHERE owner <> ?", (owner,))

    def _read_id(self) -> str:
        [(found,)] = self._db.execute("SELECT id FROM spool").fetchall()
        return str(found)

    # Articles that come.

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
            try:
                articles = self._read(chunk.first, chunk.last)
            except Unreadable:
                articles = []  # nobody was told that they are taken
            self.state.articles -= len(articles)
            self.state.bytes -= sum(map(size_of, articles))
            self._delete_chunk(chunk.first)

    def drop_all_staged(self) -> None:
        """Drop what an earlier process had staged. Does not change the state."""
        for chunk, _ in self._chunks(f"{_CHUNKS} WHERE upload IS NOT NULL"):
            self._delete_chunk(chunk.first)

    # Batches.

    def waiting_articles(self) -> Iterator[tuple[int, list[Article]]]:
        """The articles in no batch, by chunk: the first one's number, and all.

        Raises Unreadable; `refresh` sets aside what cannot be read.
        """
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

    def batch_rows(self, number: int) -> Sequence[Article | Reject]:
        """A batch's articles, each in its place; those that cannot be read are rejects.

        So it is counted like any other, and the ledger tells in the end what became of it.
        """
        found: list[Article | Reject] = []
        try:
            ranges = self._ranges(number)
        except Unreadable as why:
            count = self.state.batches[number].articles
            place = f"batch {number} of {count} articles, which stay in the table articles,"
            return self._lost(place, count, why, self._text_of_ranges(number))
        for first, last in ranges:
            try:
                found += self._read(first, last)
            except Unreadable as why:
                place = f"articles {first} to {last}, in batch {number},"
                found += self._lost(place, last - first + 1, why, self._packed(first)[1])
        return found

    def _lost(self, place: str, count: int, why: Unreadable, data: object) -> list[Reject]:
        """Rejects in the place of articles in a batch, which are set aside when first seen."""
        if not self.damage.has(place):
            self.damage.set_aside(place, count, why, data)
        return [Reject(UNREADABLE, str(why))] * count

    def forget_batch(self, number: int) -> None:
        """Forget a batch and its articles, if it is there."""
        with suppress(Unreadable):  # then its articles stay
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
            db.execute("INSERT INTO articles VALUES (?, ?)", (chunk.first, pack(part)))
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
        """The numbers of a batch's articles; none if it is forgotten. Raises Unreadable."""
        query = "SELECT ranges, articles FROM batches WHERE number = ?"
        for text, articles in self._db.execute(query, (number,)).fetchall():
            try:
                ranges = [(int(first), int(last)) for first, last in json.loads(text)]
            except (ValueError, TypeError) as error:
                raise Unreadable(f"its list of articles cannot be read: {error}") from error
            if any(first > last for first, last in ranges) or articles != sum(
                last - first + 1 for first, last in ranges
            ):
                raise Unreadable(f"it has {articles:,} articles, but their numbers are {text}")
            return ranges
        return []

    def _text_of_ranges(self, number: int) -> object:
        query = "SELECT ranges FROM batches WHERE number = ?"
        [(text,)] = self._db.execute(query, (number,)).fetchall()
        return text

    def _packed(self, number: int) -> tuple[int, object, int]:
        """The chunk that an article is in: the first one's number, all as bytes, how many."""
        query = (
            "SELECT first, packed, last - first + 1 FROM articles JOIN chunks USING (first) "
            "WHERE first <= ?1 AND last >= ?1"
        )
        rows = self._db.execute(f"{query} ORDER BY first DESC LIMIT 1", (number,)).fetchall()
        [(start, packed, count)] = rows or [(number, None, 0)]
        return int(start), packed, int(count)

    def _read(self, first: int, last: int) -> list[Article]:
        """Articles of one chunk, by their numbers. Raises Unreadable."""
        if first > last:
            return []
        start, packed, count = self._packed(first)
        if packed is None:
            raise Unreadable("they are not there")
        if last >= start + count:
            raise Unreadable(f"the last ones that came with them are number {start + count - 1}")
        return unpack(packed, count)[first - start : last - start + 1]

    def _lose_waiting(self, chunk: Chunk, why: Unreadable) -> None:
        """Set aside those of a chunk's articles that are in no batch."""
        first, last = chunk.taken + 1, chunk.last
        place = f"articles {first} to {last}"
        self.damage.set_aside(place, last - first + 1, why, self._packed(first)[1])
        self._db.execute("UPDATE chunks SET taken = last WHERE first = ?", (chunk.first,))
        self._forget_saved(first, last)

    def _forget_saved(self, first: int, last: int) -> None:
        """The store has these articles of one chunk: when it has all, the chunk goes."""
        query = "SELECT first, unsaved FROM chunks WHERE first <= ?1 AND last >= ?1"
        found = self._db.execute(f"{query} ORDER BY first DESC LIMIT 1", (first,)).fetchall()
        for start, unsaved in found:
            left = unsaved - (last - first + 1)
            if left > 0:
                self._db.execute("UPDATE chunks SET unsaved = ? WHERE first = ?", (left, start))
            else:
                self._delete_chunk(start)

    def _delete_chunk(self, first: int) -> None:
        self._db.execute("DELETE FROM chunks WHERE first = ?", (first,))
        self._db.execute("DELETE FROM articles WHERE first = ?", (first,))
