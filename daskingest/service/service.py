"""The service behind the HTTP routes: articles into the spool, from there through the graph.

What `accept` has taken is on disk. It leaves the spool when the store has it, and then the store's
ledger forgets it too. Whatever dies in between, a restart submits the same batches again, under
the same ids.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client

from daskingest import __version__
from daskingest.articles import Article, Reject
from daskingest.counts import Tally
from daskingest.errors import DaskingestError
from daskingest.extraction import entities_in
from daskingest.models import find_model
from daskingest.pipeline.cluster import EXTRACT, cluster
from daskingest.pipeline.graph import Batch, Graph, Timings, open_graph
from daskingest.pipeline.rejects import SpoolRejects
from daskingest.pipeline.saver import root_of
from daskingest.service.metrics import Metrics
from daskingest.service.spool import Answer, Key, Limits, Spool, SpooledBatch, SpoolError
from daskingest.settings import ServeSettings
from daskingest.stores import Note, Store, absolute_url, open_store
from daskingest.stores.reading import Readers

_WATCH_SECONDS = 2.0
_NICENESS = 15  # of the workers: requests are answered first
_FIRST = 1_000_000  # a priority before that of all batches
_TRY_SECONDS = 20.0
_RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class _Released:
    """A batch on its way, and what became of it so far."""

    batch: SpooledBatch
    at: float
    tally: Tally = field(default_factory=Tally)


class Service:
    """Open one with `open_service`; all methods are for its event loop."""

    def __init__(self, settings: ServeSettings, spool: Spool, store_url: str) -> None:
        self.settings = settings
        self.spool = spool
        self.metrics = Metrics(spool)
        self.draining = False
        self.dashboard = ""
        self.workers: dict[str, dict[str, Any]] = {}
        self.failure: DaskingestError | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self._rejects = SpoolRejects(Path(settings.data_dir) / "rejects.jsonl")
        self._limits = Limits(settings.batch_articles, settings.batch_bytes, settings.batch_seconds)
        self._left = spool.unfinished()
        self._released: dict[str, _Released] = {}
        self._finished: list[str] = []
        self._some_finished = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._graph: Graph | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._readers = Readers(store_url)
        self.billed = store_url.startswith("firestore://")
        self._tried = itertools.count()

    # For the routes.

    @property
    def graph(self) -> Graph:
        """The graph, which is there from the start to the end."""
        assert self._graph is not None
        return self._graph

    def full(self, more: int = 0) -> bool:
        """Whether the spool has no room for so many bytes more."""
        return self.spool.bytes + more >= self.settings.max_spool_bytes

    async def accept(self, articles: Sequence[Article], key: Key | None = None) -> Answer:
        """Take articles; see `Spool.add`."""
        answer = await self.spool.add(articles, key)
        self.taken(len(articles), answer)
        return answer

    def taken(self, articles: int, answer: Answer) -> None:
        """Count what was put into the spool, and tell the graph."""
        self.metrics.taken(articles, answer.repeated)
        if not answer.repeated:
            self.graph.wake()

    async def read(self, work: Callable[[Store], T]) -> T:
        """Ask the store, on a thread that reads. Raises StoreError."""
        return await self._readers.read(work)

    async def entities(self, text: str) -> list[tuple[int, int, str]]:
        """The entities in a text, found by a worker before it takes its next batch: start, end
        (characters) and label. Raises DaskingestError if none can.
        """
        assert self._graph is not None
        graph = self._graph
        future = graph.client.submit(
            entities_in,
            text,
            graph.model,
            key=f"try-article-{next(self._tried)}",
            resources={EXTRACT: 1},
            priority=_FIRST,
            retries=0,
        )
        try:
            async with asyncio.timeout(_TRY_SECONDS):
                return list(await future)
        except TimeoutError:
            raise DaskingestError("no worker had time for it; try again later") from None
        except Exception as error:
            raise DaskingestError(f"spaCy can't read this text: {error}") from error

    def status(self) -> dict[str, Any]:
        """What `/status` says."""
        spool, metrics = self.spool, self.metrics
        batches, articles = self.in_flight
        accepted, saved = metrics.rates()
        oldest = spool.oldest
        return {
            "version": __version__,
            "state": "draining" if self.draining else "serving",
            "trouble": self.graph.trouble,
            "accepted": metrics.accepted,
            "duplicate": metrics.duplicates,
            "rejected": dict(metrics.rejects),
            "saved": metrics.saved_articles,
            "spool": {
                "articles": spool.articles,
                "bytes": spool.bytes,
                "max_bytes": self.settings.max_spool_bytes,
                "oldest_seconds": None if oldest is None else round(time.time() - oldest, 1),
            },
            "in_flight": {"batches": batches, "articles": articles},
            "rates": {
                "accepted_per_second": round(accepted, 1),
                "saved_per_second": round(saved, 1),
            },
            "workers": {
                name: {"memory_bytes": each["memory"], "restarts": each["restarts"]}
                for name, each in sorted(self.workers.items())
            },
            "dashboard": self.dashboard,
        }

    @property
    def in_flight(self) -> tuple[int, int]:
        """Batches, and articles in them, that were released and are not saved."""
        released = self._released.values()
        return len(released), sum(len(each.batch.articles) for each in released)

    @property
    def ready(self) -> str:
        """Why articles that come now would not be counted soon; empty if they would."""
        if self.draining:
            return "the service is shutting down"
        return self.graph.trouble

    async def drain(self) -> bool:
        """Take nothing more, and see what is in the spool through, as far as there is time.

        Whether the store has all of it.
        """
        self.draining = True
        self.graph.wake()
        running = self._tasks[0]
        await asyncio.wait([running], timeout=self.settings.drain_timeout)
        done = running.done() and not self.spool.articles
        if not done:
            log.warning("stopping with work left", extra={"articles": self.spool.articles})
        return done

    # For the graph.

    async def take(self, most: int, idle: int) -> list[Batch] | None:
        """See `graph.BatchSource.take`: first what an earlier process has left."""
        if self._left:
            batches = [await self.spool.load(number) for number in self._left[:most]]
            self._left = self._left[most:]
            return [self._release(each) for each in batches]
        try:
            batches = await self.spool.release(most, idle, self._limits, self.draining)
        except SpoolError as error:
            log.warning("%s; trying again", error)
            self._wake_after(_RETRY_SECONDS)
            return []
        if not batches:
            if self.draining:
                return None
            if self.spool.waiting:
                self._wake_after(self._limits.seconds)
        for each in batches:
            self.metrics.released(len(each.articles), each.size, each.reason, each.waited)
        return [self._release(each) for each in batches]

    def _wake_after(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.graph.wake()

    def _release(self, batch: SpooledBatch) -> Batch:
        batch_id = f"{self.spool.id}:{batch.number}"
        self._released[batch_id] = _Released(batch, time.monotonic())
        return Batch(batch_id, batch)

    def _done(self, batch: Batch, note: Note, rejects: list[Reject] | None, fresh: bool) -> None:
        """The store has a batch, or a part of one."""
        root = root_of(batch.id)
        tally = Tally.from_note(note)
        released = self._released[root]
        released.tally.merge(tally)
        for row, reason in sorted(tally.failed.items()):
            place = batch.first + row
            self._rejects.add(f"{root}#{place}", released.batch.articles[place], reason)
            self.metrics.rejected(reason, 1)
        self.metrics.saved(tally.articles, tally.words, tally.entities)
        if not self.graph.has(root):
            self._finished.append(root)
            self._some_finished.set()

    async def _forget_finished(self) -> None:
        """Let the spool forget what the store has, and then the store's ledger too."""
        while True:
            await self._some_finished.wait()
            self._some_finished.clear()
            # Of a batch in parts, each part may have said that it was the last.
            finished = [each for each in dict.fromkeys(self._finished) if each in self._released]
            self._finished = []
            try:
                await self.spool.forget([_number(batch_id) for batch_id in finished])
            except SpoolError as error:
                log.warning("%s; trying again", error)
                self._finished += finished
                self._some_finished.set()
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for batch_id in finished:
                self._log(batch_id, self._released.pop(batch_id))
            await self.graph.forget(finished)

    def _log(self, batch_id: str, released: _Released) -> None:
        batch, tally = released.batch, released.tally
        log.info(
            "batch saved",
            extra={
                "batch": batch_id,
                "articles": tally.articles,
                "rejected": tally.rejected.total(),
                "entities": tally.entities,
                "bytes": batch.size,
                "reason": batch.reason,
                "waited_seconds": round(batch.waited, 3),
                "saved_after_seconds": round(time.monotonic() - released.at, 3),
            },
        )

    # From start to end.

    async def start(self, client: Client, graph: Graph) -> None:
        """Take up what the spool has, and go on with what comes."""
        self._graph, self.dashboard = graph, client.dashboard_link
        ledger = await graph.ledger(self.spool.id)
        kept = {f"{self.spool.id}:{number}" for number in self._left}
        stale = {root_of(each) for each in ledger} - kept
        if stale:
            await graph.forget(stale)
        if self.spool.articles:
            log.info("taking up the spool", extra={"articles": self.spool.articles})
        self._tasks = [
            asyncio.create_task(self._see_through(self._run(graph, ledger))),
            asyncio.create_task(self._see_through(self._forget_finished())),
            asyncio.create_task(self._watch_workers(client)),
        ]

    async def _run(self, graph: Graph, ledger: dict[str, Note]) -> None:
        await graph.run(self, ledger)
        while self._released:  # what is finished is still to be forgotten
            await asyncio.sleep(0.01)

    async def _see_through(self, work: Awaitable[None]) -> None:
        """Do what the service can't go on without."""
        try:
            await work
        except Exception as error:
            log.exception("the service cannot go on")
            if not isinstance(error, DaskingestError):
                error = DaskingestError(f"the service failed: {error!r}")
            self.failure = error
            self.on_failure()

    async def _watch_workers(self, client: Client) -> None:
        while True:
            scheduler: Any = client.scheduler
            with contextlib.suppress(OSError):
                identity = await scheduler.identity(n_workers=-1)
                self._see_workers(identity["workers"])
            await asyncio.sleep(_WATCH_SECONDS)

    def _see_workers(self, found: dict[str, dict[str, Any]]) -> None:
        before, self.workers = self.workers, {}
        for address, each in found.items():
            name = str(each["name"])
            known = before.pop(name, {"address": address, "restarts": 0})
            restarts = known["restarts"] + (known["address"] != address)
            memory = each.get("metrics", {}).get("memory", 0)
            self.workers[name] = {"address": address, "memory": memory, "restarts": restarts}
        gone = {name: {**each, "memory": 0} for name, each in before.items()}
        self.workers.update(gone)
        self.metrics.workers(self.workers)

    async def close(self) -> None:
        """Stop. What is in the spool stays there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        self._readers.close()


class _ToMetrics(Timings):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def extraction(self, seconds: float) -> None:
        self._metrics.extraction_seconds.observe(seconds)

    def commit(self, seconds: float, writes: int) -> None:
        self._metrics.commit_seconds.observe(seconds)
        self._metrics.writes.inc(writes)


@asynccontextmanager
async def open_service(settings: ServeSettings) -> AsyncIterator[Service]:
    """The service with its cluster, spool and graph. Raises DaskingestError if it can't start."""
    model = find_model(settings.model)
    store_url = absolute_url(settings.store)
    open_store(store_url, create=True).close()
    spool = Spool(Path(settings.data_dir))
    try:
        service = Service(settings, spool, store_url)
        async with (
            cluster(settings.scheduler, settings.workers, model, _NICENESS) as client,
            open_graph(
                client,
                model,
                store_url,
                settings.flush_interval,
                service._done,
                _ToMetrics(service.metrics),
            ) as graph,
        ):
            await service.start(client, graph)
            try:
                yield service
            finally:
                await service.close()
    finally:
        spool.close()


def _number(batch_id: str) -> int:
    return int(batch_id.rpartition(":")[2])
