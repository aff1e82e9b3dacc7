"""The saver actor: takes counts from the workers, and writes them to the store exactly once.

Dask does not restore an actor that dies with its worker. So this one holds nothing that cannot be
made again: what it had not committed is extracted again, and the store's ledger keeps what it had
committed from being counted twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from distributed import Client, get_worker
from distributed.protocol.serialize import Serialize
from distributed.utils import sync

from daskingest.counts import Counts
from daskingest.errors import StoreError
from daskingest.stores import AlreadyCommitted, Note, Store, open_store

_RETRY_FIRST, _RETRY_MOST = 0.5, 30.0
_POLL_SECONDS = 10.0
_REMEMBERED = 100_000  # batches that were forgotten, for fear of late copies

log = logging.getLogger(__name__)
T = TypeVar("T")


class SaverLost(Exception):
    """The saver did not answer: its process is gone, or cannot be reached."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the saver tells the driver: the batches that the store has, by id with their notes.

    `next` is the cursor to ask with for what comes after; `trouble` says what keeps the saver from
    committing, if anything does; `commits` is how long the commits since the last report took, in
    seconds.
    """

    committed: dict[str, Note]
    next: int
    trouble: str = ""
    commits: tuple[float, ...] = ()


class Saver:
    """Collects counts and commits them, many batches at once.

    All methods but the constructor are coroutines, so they run on the event loop of the saver's
    worker and one that waits keeps no other from running. Store calls run on one thread.
    """

    def __init__(self, url: str, flush_interval: float) -> None:
        self._url = url
        self._interval = flush_interval
        self._store: Store | None = None
        self._thread = ThreadPoolExecutor(1, "store")
        self._pending: dict[str, tuple[Counts, Note]] = {}
        self._size = 0
        self._oldest = 0.0
        self._committed: list[tuple[str, Note]] = []
        self._forgotten = 0  # how many reports the driver has had, and which are no longer kept
        self._commits: list[float] = []
        self._to_forget: list[str] = []
        self._gone: dict[str, None] = {}  # forgotten of late, the oldest first
        self._trouble = ""
        self._draining = False
        self._changed = asyncio.Condition()
        self._writer: asyncio.Task[None] | None = None

    async def add(self, batch_id: str, counts: Counts, note: Note) -> None:
        """Take a batch to commit. Waits while a commit's worth of others is waiting already.

        Adding a batch again, pending or committed, changes nothing.
        """
        async with self._changed:
            self._start()
            await self._changed.wait_for(lambda: self._size < 2 * self._limit())
            if batch_id in self._pending or batch_id in self._gone:
                return
            if not self._pending:
                self._oldest = time.monotonic()
            self._pending[batch_id] = counts, note
            self._size += counts.size + 1
            self._changed.notify_all()

    async def report(self, cursor: int) -> Report:
        """What was committed since the report that gave this cursor (0 at first).

        Waits for news, but no longer than some seconds. A report can be asked for again until the
        next one is, so that one lost on the way is not missed.
        """
        async with self._changed:
            self._start()
            if cursor > self._forgotten:
                del self._committed[: cursor - self._forgotten]
                self._forgotten = cursor
            before = self._trouble
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._changed.wait_for(lambda: self._committed or self._trouble != before)
            except TimeoutError:
                pass
            news, commits = dict(self._committed), tuple(self._commits)
            self._commits.clear()
            return Report(news, self._forgotten + len(self._committed), self._trouble, commits)

    async def drain(self) -> None:
        """Commit all that is pending, without waiting for more."""
        async with self._changed:
            self._start()
            self._draining = True
            self._changed.notify_all()
            try:
                await self._changed.wait_for(lambda: not self._pending)
            finally:
                self._draining = False

    async def forget(self, batch_ids: list[str]) -> None:
        """Remove committed batches from the ledger, with their parts, before long.

        A late copy of one of them, on its way from a worker that was given up, is still known and
        not counted again, as long as not too many others have been forgotten since.
        """
        async with self._changed:
            self._start()
            self._to_forget += batch_ids
            self._gone.update(dict.fromkeys(batch_ids))
            while len(self._gone) > _REMEMBERED:
                del self._gone[next(iter(self._gone))]
            self._changed.notify_all()

    async def ledger(self, run: str) -> dict[str, Note]:
        """The store's ledger of a run; waits for a store that can't be read."""
        return await self._until_it_works(lambda store: store.ledger(run))

    def _limit(self) -> int:
        return self._store.commit_size if self._store else 100_000

    def _start(self) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        """Commit whenever a flush is due, for as long as the worker lives."""
        while True:
            async with self._changed:
                await self._until_due()
                batches = self._take()
                forgotten, self._to_forget = self._to_forget, []
            if forgotten:
                await self._until_it_works(partial(_forget, forgotten))
            if not batches:
                continue
            started = time.monotonic()
            committed = await self._commit(batches)
            async with self._changed:
                self._commits.append(time.monotonic() - started)
                self._committed += committed.items()
                for batch_id in batches:
                    counts, _ = self._pending.pop(batch_id)
                    self._size -= counts.size + 1
                self._oldest = time.monotonic()
                self._changed.notify_all()

    async def _until_due(self) -> None:
        while True:
            await self._changed.wait_for(lambda: self._pending or self._to_forget)
            if not self._pending:
                return
            left = self._oldest + self._interval - time.monotonic()
            if left <= 0 or self._draining or self._size >= self._limit():
                return
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _take(self) -> dict[str, tuple[Counts, Note]]:
        """The oldest pending batches that fit one commit; they stay pending till committed."""
        taken: dict[str, tuple[Counts, Note]] = {}
        size = 0
        for batch_id, batch in self._pending.items():
            size += batch[0].size + 1
            if taken and size > self._limit():
                break
            taken[batch_id] = batch
        return taken

    async def _commit(self, batches: dict[str, tuple[Counts, Note]]) -> dict[str, Note]:
        """Write the batches that the ledger does not have. Their notes, as the ledger has them."""

        def write(store: Store) -> dict[str, Note]:
            known: dict[str, Note] = {}
            while True:
                merged, notes = Counts(), {}
                for batch_id, (counts, note) in batches.items():
                    if batch_id not in known:
                        merged.merge(counts)
                        notes[batch_id] = note
                try:
                    if notes:
                        store.commit(merged, notes)
                    return notes | known
                except AlreadyCommitted:
                    for run in {batch_id.partition(":")[0] for batch_id in notes}:
                        ledger = store.ledger(run)
                        known |= {each: ledger[each] for each in notes if each in ledger}

        return await self._until_it_works(write)

    async def _until_it_works(self, work: Callable[[Store], T]) -> T:
        """Call the store, again and again with growing pauses, and tell what is wrong meanwhile."""
        delay = _RETRY_FIRST
        while True:
            try:
                result = await self._in_thread(work)
            except StoreError as error:
                log.warning("%s; trying again in %.1f s", error, delay)
                await self._tell(str(error))
            except Exception as error:
                log.exception("the store failed; trying again in %.1f s", delay)
                await self._tell(f"the store failed: {error!r}")
            else:
                if self._trouble:
                    await self._tell("")
                return result
            await asyncio.sleep(delay)
            delay = min(2 * delay, _RETRY_MOST)

    async def _tell(self, trouble: str) -> None:
        async with self._changed:
            self._trouble = trouble
            self._changed.notify_all()

    async def _in_thread(self, work: Callable[[Store], T]) -> T:
        def with_store() -> T:
            if self._store is None:
                self._store = open_store(self._url, create=True)
            return work(self._store)

        return await asyncio.get_running_loop().run_in_executor(self._thread, with_store)


def _forget(batch_ids: list[str], store: Store) -> None:
    store.forget(batch_ids)


@dataclass(frozen=True, slots=True)
class SaverRef:
    """Where a saver is: what tasks and the driver call it with.

    Not Dask's own proxy: given to a task as an argument, that one makes the task depend on the
    actor, and gathers the tasks on the actor's worker. A call raises SaverLost when the saver is
    gone, and otherwise what the method raises.
    """

    address: str
    key: str

    def call_from_task(self, method: str, *args: Any) -> Any:
        """Call a method from a task on a worker: straight from this worker to the saver's."""
        worker = get_worker()

        async def call() -> Any:
            return await worker.rpc(self.address).actor_execute(**self._message(method, args))

        try:
            reply = sync(worker.loop, call)
        except Exception as error:
            raise SaverLost(f"{type(error).__name__}: {error}") from error
        return _answer(reply)

    async def call(self, client: Client, method: str, *args: Any) -> Any:
        """Call a method from the driver, through the scheduler."""
        message = {"op": "actor_execute", **self._message(method, args)}
        try:
            scheduler: Any = client.scheduler
            reply = await scheduler.proxy(worker=self.address, msg=message)
        except Exception as error:
            raise SaverLost(f"{type(error).__name__}: {error}") from error
        return _answer(reply)

    def _message(self, method: str, args: tuple[Any, ...]) -> dict[str, Any]:
        wrapped = [Serialize(arg) for arg in args]
        return {"actor": self.key, "function": method, "args": wrapped, "kwargs": {}}


def _answer(reply: Any) -> Any:
    if reply["status"] == "OK":
        return reply["result"]
    raise reply["exception"]
