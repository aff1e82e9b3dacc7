"""The spool: what the service has acknowledged, kept on local disk until the store has it.

One thread writes, and puts all that is waiting for it into one transaction: many requests share one
fsync. What a request is told is true on disk.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar
from uuid import uuid4

import msgpack

from daskingest.articles import Article
from daskingest.errors import DaskingestError, UsageError
from daskingest.grouping import grouped

_APPLICATION_ID = 0x64695350  # "diSP"
_SCHEMA_VERSION = 1
_SCHEMA = """
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
) WITHOUT ROWID
"""
_GROUP = 1_000  # operations in one transaction
_CHUNK_BYTES = 1 << 20  # of articles that are packed together
_KEEP_ANSWERS = 24 * 3600.0
_OVERHEAD = 200  # bytes that an article costs besides its text

log = logging.getLogger(__name__)
T = TypeVar("T")


class SpoolError(DaskingestError):
    """The spool could not be written; what was to be written is not there."""


class KeyReused(Exception):
    """An idempotency key came with another body than before."""


@dataclass(frozen=True, slots=True)
class Key:
    """A request's idempotency key, and a digest of its body."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is told, and whether it was told the same before."""

    body: dict[str, Any]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """When a micro-batch is full, and how long it may take to be so while workers are busy."""

    articles: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """Articles under a number that never changes; `waited` is the oldest one's time, in seconds."""

    number: int
    articles: Sequence[Article]
    size: int
    reason: str
    waited: float

    def rows(self) -> Iterator[Article]:
        """The articles. With `size`, in bytes, this makes it a graph's Source."""
        return iter(self.articles)


@dataclass(slots=True)
class _Chunk:
    """Articles [first, last] that arrived together; those behind `taken` are in no batch yet.

    Articles have numbers, in the order they came. A chunk's are packed into one row.
    """

    first: int
    last: int
    taken: int
    received: float


@dataclass(slots=True)
class _State:
    """What is in the file; read once, and again whenever a transaction has failed."""

    next: int = 1  # article's number
    chunks: deque[_Chunk] = field(default_factory=deque)
    articles: int = 0  # all
    bytes: int = 0
    waiting_articles: int = 0  # those in no batch
    waiting_bytes: int = 0
    batches: dict[int, tuple[int, int, float]] = field(default_factory=dict)


_Operation = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]


class Spool:
    """Opens the spool in a folder, made if need be; one process at a time can.

    All coroutines return when what they did is on disk, and raise SpoolError when it could not be
    done. Call `close` at the end.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "spool.db"
        self._state = _State()
        self._group: list[Article] = []
        self._uploads = 0
        self._pruned = 0.0
        self._lock = _lock(folder)
        self._db = sqlite3.connect(
            self._path, timeout=10, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
            self.id: str = self._db.execute("SELECT id FROM spool").fetchone()[0]
            self._load()
        except sqlite3.Error as error:
            self._db.close()
            self._lock.close()
            raise UsageError(f"cannot use the spool {self._path}: {error}") from None
        self._queue: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="spool", daemon=True)
        self._thread.start()

    @property
    def bytes(self) -> int:
        """Bytes of the articles that the store does not have yet."""
        return self._state.bytes

    @property
    def articles(self) -> int:
        """Articles that the store does not have yet."""
        return self._state.articles

    @property
    def waiting(self) -> int:
        """Articles that are in no batch yet."""
        return self._state.waiting_articles

    @property
    def oldest(self) -> float | None:
        """When the oldest article came that the store does not have, in seconds since 1970."""
        state = self._state
        received = [each[2] for each in list(state.batches.values())]
        with suppress(IndexError):
            received.append(state.chunks[0].received)
        return min(received, default=None)

    def unfinished(self) -> list[int]:
        """The numbers of the batches that the store may not have, as a restart finds them."""
        return sorted(self._state.batches)

    async def add(self, articles: Sequence[Article], key: Key | None = None) -> Answer:
        """Take articles, all or none; those of a repeated request are not taken again.

        Raises KeyReused.
        """
        answer = {"accepted": len(articles)}

        def work(db: sqlite3.Connection) -> Answer:
            if (known := self._answer(db, key, answer)) is not None:
                return known
            self._group += articles
            return Answer(answer)

        return await self._do(work)

    def begin_upload(self) -> int:
        """A number for articles that come in parts and are taken together at the end."""
        self._uploads += 1
        return self._uploads

    async def stage(self, upload: int, articles: Sequence[Article]) -> None:
        """Put a part of an upload on disk. Restarting forgets what was not finished."""

        def work(db: sqlite3.Connection) -> None:
            self._close_group(db)
            self._insert(db, articles, upload)

        if articles:
            await self._do(work)

    async def finish(self, upload: int, answer: dict[str, Any], key: Key | None = None) -> Answer:
        """Take all that was staged, or nothing if the request is repeated. Raises KeyReused."""

        def work(db: sqlite3.Connection) -> Answer:
            try:
                known = self._answer(db, key, answer)
            except KeyReused:
                self._drop(db, upload)
                raise
            if known is not None:
                self._drop(db, upload)
                return known
            mine = f"{_CHUNKS} WHERE upload = ? ORDER BY first"
            for chunk, _ in _read_chunks(db, mine, upload):
                self._show(db, chunk)
            db.execute("UPDATE chunks SET upload = NULL WHERE upload = ?", (upload,))
            return Answer(answer)

        return await self._do(work)

    async def discard(self, upload: int) -> None:
        """Forget what was staged."""
        await self._do(lambda db: self._drop(db, upload))

    async def release(
        self, most: int, idle: int, limits: Limits, drain: bool
    ) -> list[SpooledBatch]:
        """Make up to `most` batches of what is waiting: full ones, and others when they are due.

        They are due when `idle` workers have nothing to do, when the oldest article has waited for
        `limits.seconds`, and when draining.
        """

        def work(db: sqlite3.Connection) -> list[SpooledBatch]:
            self._close_group(db)
            batches: list[SpooledBatch] = []
            while len(batches) < most and self._state.chunks:
                reason = self._due(len(batches) < idle, limits, drain)
                if not reason:
                    break
                batches.append(self._make_batch(db, limits, reason))
            return batches

        return await self._do(work) if self._state.chunks else []

    async def load(self, number: int) -> SpooledBatch:
        """A batch as it was released."""

        def work(db: sqlite3.Connection) -> SpooledBatch:
            [(ranges, size, received)] = db.execute(
                "SELECT ranges, bytes, received FROM batches WHERE number = ?", (number,)
            ).fetchall()
            articles = [
                article for first, last in json.loads(ranges) for article in _read(db, first, last)
            ]
            waited = time.time() - received
            return SpooledBatch(number, articles, size, "restart", waited)

        return await self._do(work)

    async def forget(self, numbers: Sequence[int]) -> None:
        """Forget batches: the store has them."""

        def work(db: sqlite3.Connection) -> None:
            state = self._state
            for number in numbers:
                rows = db.execute("SELECT ranges FROM batches WHERE number = ?", (number,))
                for (ranges,) in rows.fetchall():
                    for first, last in json.loads(ranges):
                        _forget_saved(db, first, last)
                db.execute("DELETE FROM batches WHERE number = ?", (number,))
                articles, size, _ = state.batches.pop(number, (0, 0, 0.0))
                state.articles -= articles
                state.bytes -= size
            if time.time() - self._pruned > 60:
                self._pruned = time.time()
                before = self._pruned - _KEEP_ANSWERS
                db.execute("DELETE FROM answers WHERE given < ?", (before,))

        await self._do(work)

    def close(self) -> None:
        """Write what is waiting to be written, and close."""
        self._queue.put(None)
        self._thread.join()
        self._db.close()
        self._lock.close()

    # What follows runs on the writing thread, but for __init__'s part of it.

    def _answer(
        self, db: sqlite3.Connection, key: Key | None, answer: dict[str, Any]
    ) -> Answer | None:
        """The answer given to this key before; from now on it is this one."""
        if key is None:
            return None
        found = db.execute("SELECT digest, answer FROM answers WHERE key = ?", (key.key,))
        for digest, known in found.fetchall():
            if digest != key.digest:
                raise KeyReused
            return Answer(json.loads(known), repeated=True)
        values = (key.key, key.digest, json.dumps(answer), time.time())
        db.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", values)
        return None

    def _insert(
        self, db: sqlite3.Connection, articles: Sequence[Article], upload: int | None
    ) -> None:
        """Pack articles into chunks; those of an upload are not to be seen yet."""
        state, received = self._state, time.time()
        for part in grouped(articles, size_of, _CHUNK_BYTES):
            first, last = state.next, state.next + len(part) - 1
            packed = msgpack.packb([(a.content, a.publication, a.id) for a in part])
            db.execute("INSERT INTO articles VALUES (?, ?)", (first, packed))
            values = (first, last, first - 1, len(part), received, upload)
            db.execute("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)", values)
            size = sum(map(size_of, part))
            state.next += len(part)
            state.articles += len(part)
            state.bytes += size
            if upload is None:
                state.chunks.append(_Chunk(first, last, first - 1, received))
                state.waiting_articles += len(part)
                state.waiting_bytes += size

    def _close_group(self, db: sqlite3.Connection) -> None:
        """What several requests of this transaction brought is packed together."""
        if self._group:
            self._insert(db, self._group, None)
            self._group = []

    def _show(self, db: sqlite3.Connection, chunk: _Chunk) -> None:
        """An upload's chunk is to be seen from now on."""
        self._state.chunks.append(chunk)
        self._state.waiting_articles += chunk.last - chunk.taken
        self._state.waiting_bytes += sum(map(size_of, _read(db, chunk.first, chunk.last)))

    def _drop(self, db: sqlite3.Connection, upload: int) -> None:
        for chunk, _ in list(_read_chunks(db, f"{_CHUNKS} WHERE upload = ?", upload)):
            articles = _read(db, chunk.first, chunk.last)
            self._state.articles -= len(articles)
            self._state.bytes -= sum(map(size_of, articles))
            db.execute("DELETE FROM articles WHERE first = ?", (chunk.first,))
            db.execute("DELETE FROM chunks WHERE first = ?", (chunk.first,))

    def _due(self, idle: bool, limits: Limits, drain: bool) -> str:
        """Why a batch is to be released now; empty if it isn't."""
        state = self._state
        if state.waiting_articles >= limits.articles:
            return "count"
        if state.waiting_bytes >= limits.bytes:
            return "bytes"
        if idle:
            return "idle"
        if drain:
            return "drain"
        return "age" if time.time() - state.chunks[0].received >= limits.seconds else ""

    def _make_batch(self, db: sqlite3.Connection, limits: Limits, reason: str) -> SpooledBatch:
        state = self._state
        received = state.chunks[0].received
        articles: list[Article] = []
        ranges: list[tuple[int, int]] = []
        size = 0
        full = False
        while state.chunks and not full:
            chunk = state.chunks[0]
            first = chunk.taken + 1
            for article in _read(db, first, chunk.last):
                more = size_of(article)
                full = len(articles) == limits.articles or size + more > limits.bytes
                if articles and full:
                    break
                articles.append(article)
                size += more
                chunk.taken += 1
            if chunk.taken >= first:
                ranges.append((first, chunk.taken))
                values = (chunk.taken, chunk.first)
                db.execute("UPDATE chunks SET taken = ? WHERE first = ?", values)
            if chunk.taken == chunk.last:
                state.chunks.popleft()
        if reason == "count" and len(articles) < limits.articles:
            reason = "bytes"
        cursor = db.execute(
            "INSERT INTO batches (ranges, articles, bytes, received) VALUES (?, ?, ?, ?)",
            (json.dumps(ranges), len(articles), size, received),
        )
        number = cursor.lastrowid or 0
        state.batches[number] = len(articles), size, received
        state.waiting_articles -= len(articles)
        state.waiting_bytes -= size
        return SpooledBatch(number, articles, size, reason, time.time() - received)

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return await future

    def _write(self) -> None:
        """Do operations, all that are waiting in one transaction, until told to end."""
        ended = False
        while not ended:
            group: list[_Operation] = []
            operation = self._queue.get()
            while operation is not None:
                group.append(operation)
                if len(group) == _GROUP:
                    break
                try:
                    operation = self._queue.get_nowait()
                except queue.Empty:
                    break
            ended = operation is None
            if group:
                self._commit(group)

    def _commit(self, group: Sequence[_Operation]) -> None:
        db = self._db
        outcomes: list[Any] = []
        try:
            db.execute("BEGIN IMMEDIATE")
            for work, _ in group:
                try:
                    outcomes.append(work(db))
                except KeyReused as error:
                    outcomes.append(error)
            self._close_group(db)
            db.execute("COMMIT")
        except Exception as error:
            log.exception("the spool cannot be written")
            with suppress(sqlite3.Error):
                if db.in_transaction:
                    db.execute("ROLLBACK")
                self._load()
            outcomes = [SpoolError(f"the spool cannot be written: {error}")] * len(group)
        futures = [future for _, future in group]
        with suppress(RuntimeError):  # the loop is closed: nobody is waiting any more
            futures[0].get_loop().call_soon_threadsafe(_resolve, futures, outcomes)

    def _prepare(self) -> None:
        db = self._db
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        [(tables,)] = db.execute("SELECT count(*) FROM sqlite_master").fetchall()
        if not tables:
            db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            db.execute("INSERT INTO spool VALUES (?)", (f"spool-{uuid4().hex}",))
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            db.execute("COMMIT")
        [(application,)] = db.execute("PRAGMA application_id").fetchall()
        [(version,)] = db.execute("PRAGMA user_version").fetchall()
        if (application, version) != (_APPLICATION_ID, _SCHEMA_VERSION):
            raise sqlite3.DatabaseError("it is not a spool of this version of daskingest")
        db.execute("BEGIN IMMEDIATE")
        for (upload,) in db.execute(
            "SELECT DISTINCT upload FROM chunks WHERE upload IS NOT NULL"
        ).fetchall():
            self._drop(db, upload)
        db.execute("COMMIT")

    def _load(self) -> None:
        """Take the state from the file."""
        db, state = self._db, _State()
        self._group = []
        [(last,)] = db.execute("SELECT max(last) FROM chunks").fetchall()
        state.next = (last or 0) + 1
        for chunk, upload in _read_chunks(db, f"{_CHUNKS} ORDER BY received, first"):
            articles = _read(db, chunk.taken + 1, chunk.last)
            size = sum(map(size_of, articles))
            state.articles += len(articles)
            state.bytes += size
            if upload is None and articles:
                state.chunks.append(chunk)
                state.waiting_articles += len(articles)
                state.waiting_bytes += size
        for number, articles, size, received in db.execute(
            "SELECT number, articles, bytes, received FROM batches"
        ):
            state.batches[number] = articles, size, received
            state.articles += articles
            state.bytes += size
        self._state = state


def _lock(folder: Path) -> IO[str]:
    """A lock on the folder, until it is closed or the process ends. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise UsageError(f"cannot use the data directory {folder}: {error}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise UsageError(
            f"another daskingest serves from {folder}; stop it, or name another --data-dir"
        ) from None
    return lock


def size_of(article: Article) -> int:
    """What an article takes in the spool, about, in bytes."""
    content = article.content
    size = len(content) if content.isascii() else len(content.encode())
    return size + len(article.publication) + _OVERHEAD


_CHUNKS = "SELECT first, last, taken, received, upload FROM chunks"


def _read_chunks(
    db: sqlite3.Connection, query: str, *values: object
) -> Iterator[tuple[_Chunk, int | None]]:
    for *fields, upload in db.execute(query, values).fetchall():
        yield _Chunk(*fields), upload


def _read(db: sqlite3.Connection, first: int, last: int) -> list[Article]:
    """Articles of one chunk, by their numbers."""
    if first > last:
        return []
    found = "SELECT first, packed FROM articles WHERE first <= ? ORDER BY first DESC LIMIT 1"
    [(start, packed)] = db.execute(found, (first,)).fetchall()
    rows = msgpack.unpackb(packed)[first - start : last - start + 1]
    return [Article(*row) for row in rows]


def _forget_saved(db: sqlite3.Connection, first: int, last: int) -> None:
    """The store has these articles of one chunk: when it has all, the chunk goes."""
    [(start, unsaved)] = db.execute(
        "SELECT first, unsaved FROM chunks WHERE first <= ? ORDER BY first DESC LIMIT 1", (first,)
    ).fetchall()
    unsaved -= last - first + 1
    if unsaved:
        db.execute("UPDATE chunks SET unsaved = ? WHERE first = ?", (unsaved, start))
    else:
        db.execute("DELETE FROM chunks WHERE first = ?", (start,))
        db.execute("DELETE FROM articles WHERE first = ?", (start,))


def _resolve(futures: Sequence[asyncio.Future[Any]], outcomes: Sequence[Any]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if not future.done():  # whoever waited may be gone
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
