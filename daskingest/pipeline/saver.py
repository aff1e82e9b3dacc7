"""The saver actor: takes counts from the workers, and writes them to the store exactly once.

Dask does not restore an actor that dies with its worker. So this one holds nothing that cannot be
made again: what it had not committed is extracted again, and the store's ledger keeps what it had
committed from being counted twice. A saver that was given up may still be running, for nobody can
tell whether a process that does not answer is dead: so each takes a run over in the store before
anything of it is committed, and the store refuses what comes from the one before it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from daskingest.ledger import BatchId, Entry, Ledger, Shards
from daskingest.packed import CompressedCounts, PackedCounts
from daskingest.pipeline.actors import memory_limit
from daskingest.pipeline.commit import commit
from daskingest.pipeline.held import Holds
from daskingest.pipeline.pending import Commit, Flush, News, Pending, Report, most_pending
from daskingest.pipeline.store_thread import StoreThread
from daskingest.resources import free_memory, trim_memory
from daskingest.stores import AlreadyCommitted, Hold, Store

_POLL_SECONDS = 10.0

log = logging.getLogger(__name__)


class Saver:
    """Collects counts and commits them, many batches at once. `owner` is the driver's name, which
    has so many `savers`.

    All methods but the constructor are coroutines, so they run on the event loop of the saver's
    worker and one that waits keeps no other from running. Store calls run on one thread. They raise
    Replaced when another saver has taken over a run.
    """

    def __init__(self, url: str, flush_interval: float, owner: str, savers: int = 1) -> None:
        self._interval = flush_interval
        self._owner = owner
        self._store = StoreThread(url, self._tell, savers)
        self._pending = Pending(most_pending(free_memory(), memory_limit()))
        self._holds = Holds()
        self._news = News()
        self._taking = asyncio.Lock()
        self._trouble = ""
        self._drains = 0  # calls of `drain` that wait
        self._end: Exception | None = None  # why there will be no more commits
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()  # the one that writes, always, and merges

    async def take_over(self, *runs: str) -> Ledger:
        """Hold runs from now on. Returns their ledgers; waits for a store that can't be read."""
        return await self.begin(1, *runs)

    async def begin(self, shards: int, *runs: str) -> Ledger:
        """The same; a run of which the store has nothing gets so many shards.

        Its ledger tells that, if they are several; they are to be taken over each by itself.
        """
        async with self._taking:
            return await self._take_over(shards, *runs)

    async def _take_over(self, shards: int, *runs: str) -> Ledger:
        def work(store: Store) -> list[tuple[Hold, Ledger]]:
            return [_taken_over(store, run, self._owner, shards) for run in runs]

        taken, found = await self._store.call(work), Ledger()
        async with self._changed:
            for hold, ledger in taken:
                self._holds.take(hold, ledger)
                found |= ledger
        return found

    async def add(self, batch_id: BatchId, counts: CompressedCounts, entry: Entry) -> None:
        """Take a batch to commit, of a run that is held. Waits while memory is full, or merging is
        behind.

        Adding a batch again, pending or committed, changes nothing.
        """
        async with self._taking:
            if batch_id.run not in self._holds:
                await self._take_over(1, batch_id.run)
        async with self._changed:
            self._start()
            await self._changed.wait_for(lambda: self._pending.has_room or self._end)
            if self._end:
                raise self._end
            if batch_id in self._pending or self._holds.is_settled(batch_id):
                return
            limit, now = self._store.commit_size, time.monotonic()
            flush = self._pending.add(batch_id, counts, entry, limit, now)
            if flush.closed or self._pending.full:
                # Beside the commit of the one before, which then needs not wait for it.
                self._merge(flush, flush.sum.whole)
            elif flush.sum.take_turn():
                self._merge(flush, flush.sum.merge_some)
            self._changed.notify_all()

    def _merge(self, flush: Flush, work: Callable[[], object]) -> None:
        """Merge on a thread, which may make room. If that fails, the flush is due: its commit does
        it again, and tells of it if that fails, too."""

        async def merge() -> None:
            try:
                await asyncio.to_thread(work)
            except Exception as error:
                log.debug("batches could not be merged: %r", error)
                flush.closed = True
            async with self._changed:
                self._changed.notify_all()

        self._tasks.add(task := asyncio.create_task(merge()))
        task.add_done_callback(self._tasks.discard)

    async def enter(self, entries: Ledger) -> None:
        """Put entries without counts into the ledger, unless it has them. Returns when it does."""
        for batch_id, entry in entries.items():
            await self.add(batch_id, CompressedCounts(), entry)
        await self.drain()

    async def report(self, cursor: int) -> Report:
        """What was committed since the report with this cursor (0 at first).

        Waits for news, for up to ten seconds.
        """
        async with self._changed:
            self._start()
            self._news.acknowledge(cursor)
            before = self._trouble

            def is_any() -> bool:
                return bool(self._news or self._end) or self._trouble != before

            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._changed.wait_for(is_any)
            if self._end and not self._news:
                raise self._end
            return self._news.report(self._trouble)

    async def drain(self) -> None:
        """Commit all that is pending now, without waiting for more."""
        async with self._changed:
            self._start()
            mine = list(self._pending)

            def waiting() -> bool:
                return any(batch_id in self._pending for batch_id in mine)

            self._drains += 1
            self._changed.notify_all()
            try:
                await self._changed.wait_for(lambda: self._end or not waiting())
            finally:
                self._drains -= 1
            if self._end and waiting():
                raise self._end

    async def forget(self, run: str, up_to: int) -> None:
        """The source of a run has forgotten all its batches up to this number.

        Their entries leave the ledger with the next commit, or when none comes for a while.
        """
        async with self._changed:
            self._holds.forget(run, up_to, time.monotonic())
            self._changed.notify_all()

    def _start(self) -> None:
        if not self._tasks:
            self._tasks.add(asyncio.create_task(self._write()))

    async def _write(self) -> None:
        """Commit whenever a flush is due, for as long as the runs are held."""
        try:
            while True:
                await self._write_once()
        except Exception as error:
            async with self._changed:
                self._end = error
                self._changed.notify_all()

    async def _write_once(self) -> None:
        """Commit the flush that is due next, or just what may be forgotten."""
        async with self._changed:
            await self._until_due()
            flush = self._pending.first
            if flush is not None:
                flush.closed = True
            holds = self._holds.next(flush.batches if flush else (), self._pending)
        if flush is None:
            await self._store.call(partial(_settle, holds))
            self._holds.committed({}, holds)
            return
        started = time.monotonic()
        committed = await self._store.call(partial(commit, flush, holds))
        async with self._changed:
            seconds = time.monotonic() - started
            self._holds.committed(committed.entries, holds if committed.commits else ())
            self._news.add(committed.entries, Commit(seconds, committed.writes))
            self._pending.remove_first(started, seconds)
            self._changed.notify_all()
        del flush, committed
        await asyncio.to_thread(trim_memory)

    async def _until_due(self) -> None:
        while (left := self._seconds_left()) is None or left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    def _seconds_left(self) -> float | None:
        """Until the first flush is due, or what may be forgotten; None if there is neither."""
        now = time.monotonic()
        left = self._pending.seconds_left(self._interval, now)
        if left is not None:
            return 0.0 if self._drains else left
        since = self._holds.since
        return None if since is None else since + self._interval - now

    async def _tell(self, trouble: str) -> None:
        async with self._changed:
            self._trouble = trouble
            self._changed.notify_all()


def _taken_over(store: Store, run: str, owner: str, shards: int) -> tuple[Hold, Ledger]:
    hold, ledger = store.take_over(run, owner), store.ledger(run)
    if shards > 1 and not ledger and not hold.watermark:
        ledger = {BatchId.shards(run): Shards(shards)}
        try:
            store.commit(PackedCounts(), ledger, [hold])
        except AlreadyCommitted:  # the answer to it got lost
            ledger = store.ledger(run)
    return hold, ledger


def _settle(holds: list[Hold], store: Store) -> None:
    store.commit(PackedCounts(), {}, holds)
