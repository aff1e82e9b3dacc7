"""The spool: acknowledged articles, kept on local disk until the store has them."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from daskingest.articles import Article
from daskingest.errors import UsageError
from daskingest.files import lock_file
from daskingest.service.answers import Answer, Answers, IdempotencyKey, KeyReused
from daskingest.service.group_commit import GroupCommit
from daskingest.service.micro_batches import Demand, Limits, Reason, due, fill
from daskingest.service.spool_file import SCHEMA, SpoolFile
from daskingest.sqlite_file import SchemaError, SqliteFile


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """Articles under a number that never changes. `waited` is the oldest one's time, in seconds."""

    number: int
    articles: Sequence[Article]
    size: int
    reason: Reason
    waited: float

    def rows(self) -> Iterator[Article]:
        """The articles. With `size`, in bytes, this makes it a RowSource."""
        return iter(self.articles)


class Spool:
    """The spool in a folder, which is created if needed; only one process at a time can open it.

    All coroutines return when their changes are on disk, and raise SpoolError if they could not be
    made. Call `close` at the end. Raises UsageError.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "spool.db"
        with ExitStack() as stack:
            stack.enter_context(_lock(folder))
            try:
                file = stack.enter_context(SqliteFile(path, SCHEMA, busy_seconds=10))
                self._tables = SpoolFile(file.connection)
                with file.transaction():
                    self._tables.drop_all_staged()
                self._tables.reload()
            except (sqlite3.Error, SchemaError) as error:
                other = isinstance(error, SchemaError)
                why = "it is not a spool of this version of daskingest" if other else error
                raise UsageError(f"cannot use the spool {path}: {why}") from None
            self.id = self._tables.id
            self._answers = Answers(file.connection)
            self._uploads = itertools.count(1)
            self._writer = GroupCommit(file, self._tables)
            stack.callback(self._writer.close)
            self._resources = stack.pop_all()

    @property
    def bytes(self) -> int:
        """Bytes of the articles that the store does not have yet."""
        return self._tables.state.bytes

    @property
    def articles(self) -> int:
        """Articles that the store does not have yet."""
        return self._tables.state.articles

    @property
    def waiting(self) -> int:
        """Articles that are in no batch yet."""
        return self._tables.state.waiting_articles

    @property
    def oldest(self) -> float | None:
        """When the oldest article arrived that the store does not have, in seconds since 1970."""
        state = self._tables.state
        received = [each.received for each in list(state.batches.values())]
        with suppress(IndexError):
            received.append(state.chunks[0].received)
        return min(received, default=None)

    def unfinished(self) -> list[int]:
        """The numbers of the batches that were released and not forgotten, for a restart."""
        return sorted(self._tables.state.batches)

    async def add(
        self,
        articles: Sequence[Article],
        key: IdempotencyKey | None = None,
        body: dict[str, Any] | None = None,
    ) -> Answer:
        """Add articles, all or none; those of a repeated request are not added again.

        The answer is `body`, or how many were accepted. Raises KeyReused.
        """

        answer_body = {"accepted": len(articles)} if body is None else body

        def work() -> Answer:
            answer = self._answers.give(answer_body, key, time.time())
            if not answer.repeated:
                self._tables.add(articles)
            return answer

        return await self._writer.do(work)

    def begin_upload(self) -> int:
        """A number for articles that arrive in parts and are accepted together at the end."""
        return next(self._uploads)

    async def stage(self, upload: int, articles: Sequence[Article]) -> None:
        """Put a part of an upload on disk. A restart drops uploads that were not finished."""
        if articles:
            await self._writer.do(lambda: self._tables.stage(articles, upload))

    async def finish(
        self, upload: int, body: dict[str, Any], key: IdempotencyKey | None = None
    ) -> Answer:
        """Add all that was staged, or nothing if the request is repeated. Raises KeyReused."""

        def work() -> Answer:
            try:
                answer = self._answers.give(body, key, time.time())
            except KeyReused:
                self._tables.drop_staged(upload)
                raise
            if answer.repeated:
                self._tables.drop_staged(upload)
            else:
                self._tables.show_staged(upload)
            return answer

        return await self._writer.do(work)

    async def discard(self, upload: int) -> None:
        """Drop what was staged."""
        await self._writer.do(lambda: self._tables.drop_staged(upload))

    async def release(
        self, most: int, idle: int, limits: Limits, drain: bool
    ) -> list[SpooledBatch]:
        """Make up to `most` batches of the waiting articles: full ones, and others if they are due.

        A batch is due if one of the `idle` workers has nothing to do, if its oldest article has
        waited for `limits.seconds`, or if draining.
        """

        def work() -> list[SpooledBatch]:
            self._tables.before_commit()
            batches: list[SpooledBatch] = []
            while len(batches) < most:
                demand = Demand(len(batches) < idle, drain, time.time())
                reason = due(self._tables.state.waiting, limits, demand)
                if reason is None:
                    break
                batches.append(self._release(reason, limits))
            return batches

        return await self._writer.do(work) if self.waiting else []

    def _release(self, reason: Reason, limits: Limits) -> SpooledBatch:
        batch = fill(reason, self._tables.waiting_articles(), limits)
        number, received = self._tables.add_batch(batch)
        waited = time.time() - received
        return SpooledBatch(number, batch.articles, batch.bytes, batch.reason, waited)

    async def load(self, number: int) -> SpooledBatch:
        """A batch that was released by an earlier process."""

        def work() -> SpooledBatch:
            stored = self._tables.state.batches[number]
            articles = self._tables.batch_articles(number)
            waited = time.time() - stored.received
            return SpooledBatch(number, articles, stored.bytes, "restart", waited)

        return await self._writer.do(work)

    async def forget(self, numbers: Sequence[int]) -> None:
        """Forget batches: the store has them."""

        def work() -> None:
            for number in numbers:
                self._tables.forget_batch(number)
            self._answers.prune(time.time())

        await self._writer.do(work)

    def close(self) -> None:
        """Finish the waiting operations, and close."""
        self._resources.close()


def _lock(folder: Path) -> IO[str]:
    """A lock on the folder, until it is closed or the process ends. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return lock_file(folder / "lock")
    except BlockingIOError:
        raise UsageError(
            f"another daskingest service uses {folder}; stop it, or name another --data-dir"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot use the data directory {folder}: {error}") from None
