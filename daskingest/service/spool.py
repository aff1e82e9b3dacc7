"""The spool: acknowledged articles, kept on local disk until the store has them."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from daskingest.articles import Article, Reject
from daskingest.errors import UsageError
from daskingest.files import lock_file
from daskingest.service.answers import Answer, IdempotencyKey, KeyReused
from daskingest.service.group_commit import GroupCommit
from daskingest.service.micro_batches import Demand, Limits, Reason, due, fill
from daskingest.service.packing import Unreadable
from daskingest.service.spool_file import SCHEMA, SpoolFile
from daskingest.service.time_in_use import TimeInUse
from daskingest.sqlite_file import SchemaError, SqliteFile


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """Articles under a number that never changes; `waited` is the oldest one's time, in seconds.

    In the place of one that cannot be read any more there is a reject.
    """

    number: int
    articles: Sequence[Article | Reject]
    size: int
    reason: Reason
    waited: float

    @property
    def nbytes(self) -> int:
        """All of its bytes. With `rows` and `size` this makes it a batch's RowSource."""
        return self.size

    def rows(self) -> Iterator[Article | Reject]:
        """The articles."""
        return iter(self.articles)


class Spool:
    """The spool in a folder, which is created if needed; only one process at a time can open it.

    All coroutines return when what they did is on disk, and raise SpoolError when it could not be
    done. Call `close` at the end. Articles that cannot be read any more are set aside; the others
    go on. `clock` has seconds of a time that runs evenly. Raises UsageError.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        path = folder / "spool.db"
        with ExitStack() as stack:
            stack.enter_context(_lock(folder))
            try:
                file = stack.enter_context(SqliteFile(path, SCHEMA, busy_seconds=10))
                self._tables = SpoolFile(file.connection)
                with file.transaction():
                    self._tables.drop_all_staged()
                    self._tables.reload()
                self._used = TimeInUse(file.connection, clock)
            except (sqlite3.Error, SchemaError) as error:
                other = isinstance(error, SchemaError)
                why = "it is not a spool of this version of daskingest" if other else error
                raise UsageError(f"cannot use the spool {path}: {why}") from None
            self.owners = self._tables.owners()
            """Who has held its run in the store, as far as it knows."""
            self._file = file
            self._uploads = itertools.count(1)
            stack.callback(self._keep_time, file)
            self._writer = GroupCommit(file, self._tables)
            stack.callback(self._writer.close)
            self._resources = stack.pop_all()

    @property
    def bytes(self) -> int:
        """Bytes of the articles that the store does not have yet, and of remembered keys."""
        return self._tables.state.bytes + self.key_bytes

    @property
    def key_bytes(self) -> int:
        """Bytes of idempotency keys, and of what was answered to them."""
        return self._tables.answers.bytes

    @property
    def articles(self) -> int:
        """Articles that the store does not have yet."""
        return self._tables.state.articles

    @property
    def damaged(self) -> int:
        """Articles that were set aside because they, or which ones they are, cannot be read."""
        return self._tables.damage.articles

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

    @property
    def id(self) -> str:
        """What tells it from all other spools."""
        return self._tables.id

    @property
    def last_number(self) -> int:
        """The number of the batch that was made last; 0: there was none."""
        return self._tables.state.last_number

    @property
    def forgotten_up_to(self) -> int:
        """It has forgotten all batches up to this number, and will not give them again."""
        return min(self._tables.state.batches, default=self.last_number + 1) - 1

    def renew(self) -> None:
        """Give the spool another identity. To be called before anything else."""
        with self._file.transaction():
            self._tables.renew()
        self.owners = set()

    async def add_owner(self, owner: str) -> None:
        """Write down that somebody is about to hold its run."""
        await self._writer.do(lambda: self._tables.add_owner(owner))
        self.owners = {*self.owners, owner}

    async def keep_owner(self, owner: str) -> None:
        """Write down that this one holds it, and none of those before any more."""
        await self._writer.do(lambda: self._tables.keep_owner(owner))
        self.owners = {owner}

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
            answer = self._tables.answers.give(answer_body, key, self._used.now)
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
                answer = self._tables.answers.give(body, key, self._used.now)
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
        waited for `limits.seconds`, or if draining. Then all is seen that was added before.
        """

        def work() -> list[SpooledBatch]:
            self._tables.before_commit()
            batches: list[SpooledBatch] = []
            while len(batches) < most:
                demand = Demand(len(batches) < idle, drain, time.time())
                reason = due(self._tables.state.waiting, limits, demand)
                if reason is None:
                    break
                try:
                    batches.append(self._release(reason, limits))
                except Unreadable:
                    self._tables.refresh()
            return batches

        return await self._writer.do(work) if self.waiting or drain else []

    def _release(self, reason: Reason, limits: Limits) -> SpooledBatch:
        batch = fill(reason, self._tables.waiting_articles(), limits)
        number, received = self._tables.add_batch(batch)
        waited = max(0.0, time.time() - received)  # the clock may have been set back
        return SpooledBatch(number, batch.articles, batch.bytes, batch.reason, waited)

    async def load(self, number: int) -> SpooledBatch:
        """A batch that was released by an earlier process."""

        def work() -> SpooledBatch:
            stored = self._tables.state.batches[number]
            rows = self._tables.batch_rows(number)
            waited = max(0.0, time.time() - stored.received)
            return SpooledBatch(number, rows, stored.bytes, "restart", waited)

        return await self._writer.do(work)

    async def forget(self, numbers: Sequence[int]) -> None:
        """Forget batches: the store has them."""

        def work() -> None:
            for number in numbers:
                self._tables.forget_batch(number)

        await self._writer.do(work)

    async def tidy(self) -> None:
        """Forget keys that are a day of use old. To be done every minute or so."""

        def work() -> None:
            self._used.keep()
            self._tables.answers.prune(self._used.now)

        await self._writer.do(work)

    def close(self) -> None:
        """Finish the waiting operations, and close."""
        self._resources.close()

    def _keep_time(self, file: SqliteFile) -> None:
        with suppress(sqlite3.Error), file.transaction():
            self._used.keep()


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
