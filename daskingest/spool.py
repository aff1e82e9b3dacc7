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
from typing import Any, TypeVar
from uuid import uuid4

from daskingest.articles import Article
from daskingest.errors import DaskingestError, UsageError

_APPLICATION_ID = 0x64695350  # "diSP"
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE spool (id TEXT NOT NULL);
CREATE TABLE articles (
    seq INTEGER PRIMARY KEY,
    content TEXT NOT NULL,
    publication TEXT NOT NULL,
    id TEXT
);
CREATE TABLE chunks (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
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
    """Articles [first, last] that arrived together and are in no batch yet."""

    first: int
    last: int
    bytes: int
    received: float


@dataclass(slots=True)
class _State:
    """What is in the file; read once, and again whenever a transaction has failed."""

    next_seq: int = 1
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
        self._group: _Chunk | None = None
        self._uploads = 0
        self._pruned = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another daskingest serves from {folder}; stop it, or name another --data-dir"
            ) from None
        except OSError as error:
            raise UsageError(f"cannot use the data directory {folder}: {error}") from None
        try:
            self._db = sqlite3.connect(
                self._path, timeout=10, isolation_level=None, check_same_thread=False
            )
            self._prepare()
            self.id: str = self._db.execute("SELECT id FROM spool").fetchone()[0]
            self._load()
        except sqlite3.Error as error:
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
            if articles:
                if self._group is None:
                    self._group = self._insert(db, articles)
                else:
                    more = self._insert(db, articles)
                    self._group.last, self._group.bytes = more.last, self._group.bytes + more.bytes
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
            chunk = self._insert(db, articles)
            self._insert_chunk(db, chunk, upload)

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
            mine = "SELECT first, last, bytes, received FROM chunks WHERE upload = ? ORDER BY first"
            chunks = [_Chunk(*row) for row in db.execute(mine, (upload,))]
            db.execute("UPDATE chunks SET upload = NULL WHERE upload = ?", (upload,))
            for chunk in chunks:
                self._show(chunk)
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
            rows = [row for first, last in json.loads(ranges) for row in _read(db, first, last)]
            articles = [Article(*row[1:]) for row in rows]
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
                        db.execute("DELETE FROM articles WHERE seq BETWEEN ? AND ?", (first, last))
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

    def _insert(self, db: sqlite3.Connection, articles: Sequence[Article]) -> _Chunk:
        state = self._state
        first = state.next_seq
        rows = [(first + i, a.content, a.publication, a.id) for i, a in enumerate(articles)]
        db.executemany("INSERT INTO articles VALUES (?, ?, ?, ?)", rows)
        size = sum(map(size_of, articles))
        state.next_seq += len(rows)
        state.articles += len(rows)
        state.bytes += size
        return _Chunk(first, state.next_seq - 1, size, time.time())

    def _insert_chunk(self, db: sqlite3.Connection, chunk: _Chunk, upload: int | None) -> None:
        values = (chunk.first, chunk.last, chunk.bytes, chunk.received, upload)
        db.execute("INSERT INTO chunks VALUES (?, ?, ?, ?, ?)", values)

    def _close_group(self, db: sqlite3.Connection) -> None:
        """What several requests of this transaction brought is one chunk."""
        if self._group is not None:
            self._insert_chunk(db, self._group, None)
            self._show(self._group)
            self._group = None

    def _show(self, chunk: _Chunk) -> None:
        self._state.chunks.append(chunk)
        self._state.waiting_articles += chunk.last - chunk.first + 1
        self._state.waiting_bytes += chunk.bytes

    def _drop(self, db: sqlite3.Connection, upload: int) -> None:
        chunks = db.execute("SELECT first, last, bytes FROM chunks WHERE upload = ?", (upload,))
        for first, last, size in chunks.fetchall():
            db.execute("DELETE FROM articles WHERE seq BETWEEN ? AND ?", (first, last))
            self._state.articles -= last - first + 1
            self._state.bytes -= size
        db.execute("DELETE FROM chunks WHERE upload = ?", (upload,))

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
        while state.chunks and len(articles) < limits.articles and size < limits.bytes:
            chunk = state.chunks[0]
            first, taken, before = chunk.first, chunk.first - 1, size
            for seq, *fields in _read(db, chunk.first, chunk.last):
                article = Article(*fields)
                full = len(articles) == limits.articles or size + size_of(article) > limits.bytes
                if articles and full:
                    break
                articles.append(article)
                size += size_of(article)
                taken = seq
            if taken >= first:
                ranges.append((first, taken))
            chunk.bytes -= size - before
            db.execute("DELETE FROM chunks WHERE first = ?", (first,))
            if taken < chunk.last:
                chunk.first = taken + 1
                self._insert_chunk(db, chunk, None)
                break
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
        self._group = None
        [(last,)] = db.execute("SELECT max(seq) FROM articles").fetchall()
        state.next_seq = (last or 0) + 1
        for first, last, size, received, upload in db.execute(
            "SELECT first, last, bytes, received, upload FROM chunks ORDER BY received, first"
        ):
            state.articles += last - first + 1
            state.bytes += size
            if upload is None:
                state.chunks.append(_Chunk(first, last, size, received))
                state.waiting_articles += last - first + 1
                state.waiting_bytes += size
        for number, articles, size, received in db.execute(
            "SELECT number, articles, bytes, received FROM batches"
        ):
            state.batches[number] = articles, size, received
            state.articles += articles
            state.bytes += size
        self._state = state


def size_of(article: Article) -> int:
    """What an article takes in the spool, about, in bytes."""
    content = article.content
    size = len(content) if content.isascii() else len(content.encode())
    return size + len(article.publication) + _OVERHEAD


def _read(db: sqlite3.Connection, first: int, last: int) -> Iterator[tuple[Any, ...]]:
    found = "SELECT seq, content, publication, id FROM articles WHERE seq BETWEEN ? AND ?"
    return iter(db.execute(f"{found} ORDER BY seq", (first, last)))


def _resolve(futures: Sequence[asyncio.Future[Any]], outcomes: Sequence[Any]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if not future.done():  # whoever waited may be gone
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
