"""The saver actor: takes counts from the workers, and writes them to the store exactly once.

Dask does not restore an actor that dies with its worker. So this one holds nothing that cannot be
made again: what it had not committed is extracted again, and the store's ledger keeps what it had
committed from being counted twice.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from distributed import Client, Worker, get_worker
from distributed.core import send_recv
from distributed.protocol.serialize import Serialize
from distributed.utils import sync

from daskingest.counts import Counts
from daskingest.errors import StoreError
from daskingest.stores import AlreadyCommitted, Note, Store, TooLarge, open_store

_RETRY_FIRST, _RETRY_MOST = 0.5, 30.0
_POLL_SECONDS = 10.0
_MOST_PENDING = 1_000_000  # counters, in all the batches that wait; some 200 MB
_CONNECT_SECONDS = 3.0  # Dask's own limit is longer, and a worker whose saver is gone waits for it
_REMEMBERED = 100_000  # batches that were forgotten, for fear of late copies

_REPLACED = "another saver has taken over"

_STORE_CALLS = threading.Lock()
"""Held while a saver of this process calls its store: one that takes another's place waits until
that one's last commit is through, and finds its batches in the ledger.
"""

log = logging.getLogger(__name__)
T = TypeVar("T")


class SaverLost(Exception):
    """The saver did not answer: its process is gone, or cannot be reached; or it was replaced."""


class Commit(NamedTuple):
    """How long a commit took, and the number of rows or documents that it wrote."""

    seconds: float
    writes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the saver tells the driver: the batches that the store has, by id with their notes.

    `next` is the cursor to ask with for what comes after; `refused` are batches that are too large
    for one commit of the store; `trouble` says what keeps the saver from committing, if anything
    does; `commits` are those since the last report.
    """

    committed: dict[str, Note]
    next: int
    refused: tuple[str, ...] = ()
    trouble: str = ""
    commits: tuple[Commit, ...] = ()


@dataclass(slots=True)
class _Flush:
    """Batches that go into one commit, and their counts merged. `closed`: takes no more."""

    since: float
    merged: Counts = field(default_factory=Counts)
    batches: dict[str, tuple[Counts, Note]] = field(default_factory=dict)
    closed: bool = False

    def add(self, batch_id: str, counts: Counts, note: Note) -> None:
        self.batches[batch_id] = counts, note
        self.merged.merge(counts)


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
        self._flushes: deque[_Flush] = deque()
        self._pending: dict[str, int] = {}  # the batches in all flushes, with their sizes
        self._most_pending = _MOST_PENDING
        self._news: list[tuple[str, Note | None]] = []  # None: refused
        self._forgotten = 0  # how many reports the driver has had, and which are no longer kept
        self._commits: list[Commit] = []
        self._to_forget: dict[str, float] = {}  # and since when
        self._gone: dict[str, None] = {}  # forgotten of late, the oldest first
        self._trouble = ""
        self._draining = 0  # calls of `drain` that wait
        self._ended = False
        self._changed = asyncio.Condition()
        self._writer: asyncio.Task[None] | None = None
        self._worker: Worker | None = None  # none: it is no actor
        with suppress(ValueError):
            self._worker = get_worker()

    async def add(self, batch_id: str, counts: Counts, note: Note) -> None:
        """Take a batch to commit. Waits while as much as memory allows is waiting already.

        Adding a batch again, pending or committed, changes nothing. Raises SaverLost when another
        saver has taken over.
        """
        async with self._changed:
            self._start()
            most = self._most_pending
            await self._changed.wait_for(lambda: self._waiting() < most or self._ended)
            if self._ended:
                raise SaverLost(_REPLACED)
            if batch_id in self._pending or root_of(batch_id) in self._gone:
                return
            if not self._flushes or self._flushes[-1].closed:
                self._flushes.append(_Flush(time.monotonic()))
            flush = self._flushes[-1]
            flush.add(batch_id, counts, note)
            self._pending[batch_id] = counts.size + 1
            flush.closed = flush.merged.size >= self._limit() or self._waiting() >= most // 2
            self._changed.notify_all()

    async def report(self, cursor: int) -> Report:
        """What was committed since the report that gave this cursor (0 at first).

        Waits for news, but no longer than some seconds. A report can be asked for again until the
        next one is, so that one lost on the way is not missed.
        """
        async with self._changed:
            self._start()
            if cursor > self._forgotten:
                del self._news[: cursor - self._forgotten]
                self._forgotten = cursor
            before = self._trouble
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._changed.wait_for(lambda: self._news or self._trouble != before)
            except TimeoutError:
                pass
            commits = tuple(self._commits)
            self._commits.clear()
            return Report(
                committed={each: note for each, note in self._news if note is not None},
                next=self._forgotten + len(self._news),
                refused=tuple(each for each, note in self._news if note is None),
                trouble=self._trouble,
                commits=commits,
            )

    async def drain(self) -> None:
        """Commit all that is pending now, without waiting for more. Raises SaverLost like `add`."""
        async with self._changed:
            self._start()
            mine = list(self._pending)

            def waiting() -> bool:
                return any(batch_id in self._pending for batch_id in mine)

            self._draining += 1
            self._changed.notify_all()
            try:
                await self._changed.wait_for(lambda: self._ended or not waiting())
            finally:
                self._draining -= 1
            if waiting():
                raise SaverLost(_REPLACED)

    async def forget(self, batch_ids: list[str]) -> None:
        """Remove committed batches from the ledger, with their parts, when it is time.

        They stay while what a saver that died asked the store for may still be done. A late copy of
        one of them, on its way from a worker that was given up, is known for longer and not counted
        again, as long as not too many others have been forgotten since.
        """
        async with self._changed:
            self._start()
            self._to_forget.update(dict.fromkeys(batch_ids, time.monotonic()))
            self._gone.update(dict.fromkeys(batch_ids))
            while len(self._gone) > _REMEMBERED:
                del self._gone[next(iter(self._gone))]
            self._changed.notify_all()

    async def ledger(self, run: str) -> dict[str, Note]:
        """The store's ledger of a run; waits for a store that can't be read."""
        return await self._until_it_works(lambda store: store.ledger(run))

    def _waiting(self) -> int:
        return sum(self._pending.values())

    def _limit(self) -> int:
        return self._store.commit_size if self._store else 100_000

    def _abandoned(self) -> bool:
        """Whether Dask has let go of this actor, as when the driver took it for dead.

        Another one is at work then, and may have forgotten what this one still wants to commit.
        """
        if self._worker is None:
            return False
        return all(actor is not self for actor in self._worker.state.actors.values())

    def _start(self) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        """Commit whenever a flush is due, for as long as this actor is the worker's."""
        with suppress(SaverLost):
            await self._write_all()
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def _write_all(self) -> None:
        await self._until_it_works(lambda store: None)  # open, it tells how long it must remember
        while True:
            async with self._changed:
                await self._until_due()
                flush = self._flushes[0] if self._flushes else None
                if flush is not None:
                    flush.closed = True
                for batch_id in (forgotten := self._forgettable()):
                    del self._to_forget[batch_id]
            if forgotten:
                await self._until_it_works(partial(_forget, forgotten))
            if flush is None:
                continue
            started = time.monotonic()
            writes, news = await self._until_it_works(partial(_commit, flush.batches, flush.merged))
            async with self._changed:
                self._commits.append(Commit(time.monotonic() - started, writes))
                self._news += news.items()
                for batch_id in flush.batches:
                    del self._pending[batch_id]
                self._flushes.popleft()
                self._changed.notify_all()

    def _forgettable(self) -> list[str]:
        """What may leave the ledger now: nothing of which a late copy waits to be committed."""
        waiting = {root_of(batch_id) for batch_id in self._pending}
        before = time.monotonic() - self._settled_after()
        return [
            batch_id
            for batch_id, asked in self._to_forget.items()
            if asked <= before and batch_id not in waiting
        ]

    def _settled_after(self) -> float:
        assert self._store is not None  # the writer has opened it
        return self._store.settled_after

    async def _until_due(self) -> None:
        while (left := self._seconds_left()) is None or left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    def _seconds_left(self) -> float | None:
        """Until the first flush is due, or without one something is to be forgotten."""
        if self._flushes:
            first = self._flushes[0]
            due = self._draining or first.closed
            return 0.0 if due else first.since + self._interval - time.monotonic()
        if self._to_forget:
            return min(self._to_forget.values()) + self._settled_after() - time.monotonic()
        return None

    async def _until_it_works(self, work: Callable[[Store], T]) -> T:
        """Call the store, again and again with growing pauses, and tell what is wrong meanwhile.

        Raises SaverLost when this actor is no longer the worker's.
        """
        delay = _RETRY_FIRST
        while True:
            try:
                result = await self._in_thread(work)
            except SaverLost:
                raise
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
            with _STORE_CALLS:
                if self._abandoned():
                    raise SaverLost(_REPLACED)
                if self._store is None:
                    self._store = open_store(self._url, create=True)
                return work(self._store)

        return await asyncio.get_running_loop().run_in_executor(self._thread, with_store)


def root_of(batch_id: str) -> str:
    """The batch that it is, or is a part of."""
    return batch_id.partition(".")[0]


def _forget(batch_ids: list[str], store: Store) -> None:
    store.forget(batch_ids)


def _commit(
    batches: Mapping[str, tuple[Counts, Note]], merged: Counts | None, store: Store
) -> tuple[int, dict[str, Note | None]]:
    """Write those of the batches that the ledger does not have; `merged` are their counts.

    Returns how much was written, and the batches' notes as the ledger has them: None for one that
    is too large for the store. Where all are too large for one commit, they are halved.
    """
    notes = {batch_id: note for batch_id, (_, note) in batches.items()}
    known: dict[str, Note] = {}
    while notes:
        if merged is None:
            merged = Counts()
            for batch_id in notes:
                merged.merge(batches[batch_id][0])
        try:
            return store.commit(merged, notes), {**notes, **known}
        except AlreadyCommitted:
            known |= store.lookup(list(notes))
            notes = {batch_id: note for batch_id, note in notes.items() if batch_id not in known}
            merged = None
        except TooLarge:
            if len(notes) == 1:
                return 0, {**dict.fromkeys(notes), **known}
            every = list(notes)
            halves = every[: len(every) // 2], every[len(every) // 2 :]
            (one, first), (two, second) = (
                _commit({batch_id: batches[batch_id] for batch_id in half}, None, store)
                for half in halves
            )
            return one + two, {**first, **second, **known}
    return 0, {**known}


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
        message = {"op": "actor_execute", **self._message(method, args)}

        async def call() -> Any:
            comm = await worker.rpc.connect(self.address, timeout=_CONNECT_SECONDS)
            try:
                return await send_recv(comm, **message)
            finally:
                worker.rpc.reuse(self.address, comm)

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
