"""The saver actor: takes counts from the workers, and writes them to the store exactly once.

Dask does not restore an actor that dies with its worker. So this one holds nothing that cannot be
recreated: what it had not committed is extracted again, and the store's ledger keeps what it had
committed from being counted twice.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Entry, Ledger
from daskingest.pipeline.actors import SaverLost, still_kept
from daskingest.pipeline.commit import commit
from daskingest.pipeline.pending import Commit, Forgetting, News, Pending, Report
from daskingest.pipeline.store_thread import StoreThread
from daskingest.stores import Store

_POLL_SECONDS = 10.0
_REPLACED = "another saver has taken over"


class Saver:
    """Collects counts and commits them, many batches at a time.

    All methods but the constructor are coroutines, so they run on the event loop of the saver's
    worker, and one that waits does not block others. Store calls run on one thread.
    """

    def __init__(self, url: str, flush_interval: float) -> None:
        self._interval = flush_interval
        self._store = StoreThread(url, still_kept(self), self._tell)
        self._pending = Pending()
        self._news = News()
        self._forgetting = Forgetting()
        self._trouble = ""
        self._drains = 0  # waiting calls of `drain`
        self._ended = False
        self._changed = asyncio.Condition()
        self._writer: asyncio.Task[None] | None = None

    async def add(self, batch_id: BatchId, counts: Counts, entry: Entry) -> None:
        """Add a batch to be committed. Waits while as much is pending as memory allows.

        Adding a pending or committed batch again changes nothing. Raises SaverLost if another saver
        has taken over.
        """
        async with self._changed:
            self._start()
            await self._changed.wait_for(lambda: not self._pending.full or self._ended)
            if self._ended:
                raise SaverLost(_REPLACED)
            if batch_id in self._pending or self._forgetting.is_gone(batch_id):
                return
            limit, now = self._store.commit_size, time.monotonic()
            self._pending.add(batch_id, counts, entry, limit, now)
            self._changed.notify_all()

    async def report(self, cursor: int) -> Report:
        """What was committed since the report with this cursor (0 at first).

        Waits for news, for up to ten seconds.
        """
        async with self._changed:
            self._start()
            self._news.acknowledge(cursor)
            before = self._trouble
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._changed.wait_for(lambda: self._news or self._trouble != before)
            return self._news.report(self._trouble)

    async def drain(self) -> None:
        """Commit all that is pending now, without waiting for more. Raises SaverLost like `add`."""
        async with self._changed:
            self._start()
            mine = list(self._pending)

            def waiting() -> bool:
                return any(batch_id in self._pending for batch_id in mine)

            self._drains += 1
            self._changed.notify_all()
            try:
                await self._changed.wait_for(lambda: self._ended or not waiting())
            finally:
                self._drains -= 1
            if waiting():
                raise SaverLost(_REPLACED)

    async def forget(self, batch_ids: list[BatchId]) -> None:
        """Remove committed batches and their parts from the ledger, when it is time."""
        async with self._changed:
            self._start()
            self._forgetting.ask(batch_ids, time.monotonic())
            self._changed.notify_all()

    async def ledger(self, run: str) -> Ledger:
        """The store's ledger of a run; waits while the store can't be read."""
        return await self._store.call(lambda store: store.ledger(run))

    def _start(self) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        """Commit whenever a flush is due, for as long as Dask keeps this actor."""
        with suppress(SaverLost):
            await self._store.call(lambda store: None)  # opens the store, which has the limits
            while True:
                await self._write_once()
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def _write_once(self) -> None:
        """Do what is due next."""
        async with self._changed:
            await self._until_due()
            flush = self._pending.first
            if flush is not None:
                flush.closed = True
            settled_after, now = self._store.settled_after, time.monotonic()
            forgotten = self._forgetting.take_due(self._pending, settled_after, now)
        if forgotten:
            await self._store.call(partial(_forget, forgotten))
        if flush is None:
            return
        started = time.monotonic()
        committed = await self._store.call(partial(commit, flush))
        async with self._changed:
            seconds = time.monotonic() - started
            self._news.add(committed.entries, Commit(seconds, committed.writes))
            self._pending.remove_first()
            self._changed.notify_all()

    async def _until_due(self) -> None:
        while (left := self._seconds_left()) is None or left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    def _seconds_left(self) -> float | None:
        """Seconds until the first flush is due or, without one, until batches may be forgotten."""
        now = time.monotonic()
        left = self._pending.seconds_left(self._interval, now)
        if left is None:
            return self._forgetting.seconds_left(self._store.settled_after, now)
        return 0.0 if self._drains else left

    async def _tell(self, trouble: str) -> None:
        async with self._changed:
            self._trouble = trouble
            self._changed.notify_all()


def _forget(batch_ids: list[BatchId], store: Store) -> None:
    store.forget(batch_ids)
