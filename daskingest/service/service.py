"""The service behind the HTTP routes: its parts, from start to end.

What the intake has accepted is on disk. It leaves the spool only when the store has it, even if
processes die in between.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    nullcontext,
)
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from typing import TypeVar

from distributed import Client

from daskingest import __version__
from daskingest.errors import DaskingestError
from daskingest.models import find_model
from daskingest.pipeline.cluster import cluster
from daskingest.pipeline.saver_places import savers_note
from daskingest.pipeline.savers import Work
from daskingest.pipeline.store_thread import told_if_silent
from daskingest.pipeline.tls import Tls
from daskingest.pipeline.waiting import patiently
from daskingest.service.background import Background
from daskingest.service.counting import Counting
from daskingest.service.feed import Feed, Forgetter, InFlight
from daskingest.service.group_commit import SpoolError
from daskingest.service.intake import Intake
from daskingest.service.listening import lets_try
from daskingest.service.metrics import GaugeValues, Metrics
from daskingest.service.micro_batches import Limits
from daskingest.service.rates import Rate
from daskingest.service.rejects import SpoolRejects
from daskingest.service.restored import check_spool
from daskingest.service.spool import Spool
from daskingest.service.status import InFlightStatus, RatesStatus, SpoolStatus, Status
from daskingest.service.trials import Trials
from daskingest.service.workers import WorkerMonitor
from daskingest.settings import ServeSettings
from daskingest.stores import ReadableStore, absolute_url, open_store
from daskingest.stores.aliases import aliases_from
from daskingest.stores.reading import ReadPool

_TIDY_SECONDS = 61.0
_NICENESS = 15  # of the workers: requests are answered first

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class Service:
    """Open one with `open_service`; all methods are for its event loop."""

    settings: ServeSettings
    billed: bool
    """Whether reading the store is billed."""
    spool: Spool
    metrics: Metrics
    counting: Counting
    intake: Intake
    monitor: WorkerMonitor
    trials: Trials | None
    """None where people may not try articles."""
    read_pool: ReadPool
    background: Background = field(default_factory=Background)

    @property
    def on_failure(self) -> Callable[[], None]:
        """Called when the service cannot continue; `failure` says why."""
        return self.background.on_failure

    @on_failure.setter
    def on_failure(self, callback: Callable[[], None]) -> None:
        self.background.on_failure = callback

    @property
    def failure(self) -> DaskingestError | None:
        """Why the service cannot continue, if it can't."""
        return self.background.failure

    @property
    def ready(self) -> str:
        """Why articles that arrive now would not be counted soon; empty if they would."""
        if self.intake.draining:
            return "the service is shutting down"
        return self.counting.trouble

    @property
    def dashboard(self) -> str:
        """The address of the cluster's dashboard."""
        return self.counting.dashboard

    async def read(self, work: Callable[[ReadableStore], T]) -> T:
        """What `work` returns, called with the store on a reading thread. Raises StoreError."""
        return await self.read_pool.read(work)

    def status(self) -> Status:
        """The current status."""
        metrics, in_flight, oldest = self.metrics, self.counting.in_flight, self._oldest_seconds()
        accepted, saved = metrics.rates(asyncio.get_running_loop().time())
        return Status(
            version=__version__,
            state="draining" if self.intake.draining else "serving",
            trouble=self.counting.trouble,
            accepted=metrics.accepted,
            duplicate=metrics.duplicates,
            rejected=dict(metrics.rejects),
            saved=metrics.saved_articles,
            spool=SpoolStatus(
                articles=self.spool.articles,
                bytes=self.spool.bytes,
                max_bytes=self.settings.max_spool_bytes,
                oldest_seconds=None if oldest is None else round(oldest, 1),
                damaged=self.spool.damaged,
            ),
            in_flight=InFlightStatus(len(in_flight), in_flight.articles, self.counting.late),
            rates=RatesStatus(round(accepted, 1), round(saved, 1)),
            workers=self.monitor.status(),
            dashboard=self.dashboard,
        )

    def history(self) -> list[Rate]:
        """The articles per second of the last minutes, the oldest first."""
        return self.metrics.history()

    def exposition(self) -> bytes:
        """The metrics, in Prometheus' format."""
        gauges = GaugeValues(
            spool_articles=self.spool.articles,
            spool_bytes=self.spool.bytes,
            oldest_seconds=max(0.0, self._oldest_seconds() or 0.0),
            in_flight=self.counting.in_flight.articles,
        )
        return self.metrics.text(gauges)

    async def start(self) -> None:
        """Start counting: first what is in the spool already, then what arrives."""
        await self.counting.start(self.background)
        self.background.start(self.monitor.run())
        self.background.start(self._tidy())

    async def drain(self) -> bool:
        """Refuse new articles, and finish what is in the spool, for up to `drain_timeout` seconds.

        Returns whether the store has all of it.
        """
        self.intake.draining = True
        return await self.counting.drain(self.settings.drain_timeout)

    async def _tidy(self) -> None:
        while True:
            try:
                await self.spool.tidy()
            except SpoolError as error:
                log.warning("%s; trying again", error)
            await asyncio.sleep(_TIDY_SECONDS)

    def _oldest_seconds(self) -> float | None:
        oldest = self.spool.oldest
        return None if oldest is None else max(0.0, time.time() - oldest)


@asynccontextmanager
async def open_service(
    settings: ServeSettings, opening: AbstractContextManager[object] | None = None
) -> AsyncIterator[Service]:
    """A running service with its cluster, spool and store, until the context ends. The store, which
    may never answer, is opened and asked in the context `opening`, before there is a cluster.

    What is in the spool at the end stays there. Raises DaskingestError if it can't start.
    """
    model, store_url = find_model(settings.model), absolute_url(settings.store)
    aliases = aliases_from(settings.aliases)
    metrics, in_flight = Metrics(asyncio.get_running_loop().time()), InFlight()
    limits = Limits(settings.batch_articles, settings.batch_bytes, settings.batch_seconds)
    async with AsyncExitStack() as stack:
        with (
            told_if_silent(log.warning),
            opening or nullcontext(),
            await asyncio.to_thread(open_store, store_url, create=True) as store,
        ):
            billed = store.billed
            spool = stack.enter_context(closing(Spool(Path(settings.data_dir))))
            check_spool(spool, store, Path(settings.data_dir), settings.take_over)
        rejects = SpoolRejects(Path(settings.data_dir) / "rejects.jsonl")
        forgetter = Forgetter(spool, rejects, metrics, in_flight)
        work = _work(settings, model, store_url)
        counting = Counting(
            spool,
            work,
            partial(_connect, settings, model),
            partial(Feed, spool, limits, metrics, in_flight),
            forgetter,
        )
        service = Service(
            settings=settings,
            billed=billed,
            spool=spool,
            metrics=metrics,
            counting=counting,
            intake=Intake(spool, metrics, settings.max_spool_bytes, counting.wake),
            monitor=WorkerMonitor(lambda: counting.client, metrics),
            trials=await stack.enter_async_context(_trials(settings, model)),
            read_pool=stack.enter_context(closing(ReadPool(store_url, aliases))),
        )
        stack.push_async_callback(service.background.close)
        await service.start()
        yield service


def _work(settings: ServeSettings, model: str, store_url: str) -> Work:
    if note := savers_note(settings.savers, store_url):
        log.info(note)
    return Work(
        model,
        store_url,
        settings.flush_interval,
        settings.batch_timeout,
        settings.recognizer,
        inf if settings.wait_for_workers is None else settings.wait_for_workers,
        savers=settings.savers,
    )


def _connect(settings: ServeSettings, model: str) -> AbstractAsyncContextManager[Client]:
    def opening() -> AbstractAsyncContextManager[Client]:
        return cluster(
            settings.scheduler,
            settings.workers,
            model,
            _NICENESS,
            settings.recognizer,
            Tls.of(settings),
            settings.savers,
        )

    return patiently(opening, max(settings.wait_for_scheduler, settings.wait_for_workers or 0.0))


@asynccontextmanager
async def _trials(settings: ServeSettings, model: str) -> AsyncIterator[Trials | None]:
    needs_key = settings.private and bool(settings.keys)
    if not lets_try(settings.trials, settings.host, needs_key):
        yield None
        return
    trials = Trials(model)
    try:
        yield trials
    finally:
        await trials.close()
