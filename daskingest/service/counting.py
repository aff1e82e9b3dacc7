"""Counts the spool's articles with the driver, from the start until it is drained."""

from __future__ import annotations

import asyncio
import logging

from daskingest.ledger import Ledger
from daskingest.pipeline.driver import Driver
from daskingest.service.background import Background
from daskingest.service.feed import Feed, Forgetter, InFlight, stale
from daskingest.service.spool import Spool

log = logging.getLogger(__name__)


class Counting:
    """Counts the spool's articles as they arrive, and has the spool forget what is counted."""

    def __init__(
        self, spool: Spool, driver: Driver, feed: Feed, forgetter: Forgetter, in_flight: InFlight
    ) -> None:
        self.in_flight = in_flight
        self._spool = spool
        self._driver = driver
        self._feed = feed
        self._forgetter = forgetter
        self._task: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> str:
        """What keeps articles from being counted; empty if nothing does."""
        return self._driver.trouble

    async def start(self, background: Background) -> None:
        """Start counting: first what is in the spool already, then what arrives."""
        ledger = await self._driver.ledger(self._spool.id)
        if forgotten := stale(ledger, self._spool.id, self._spool.unfinished()):
            await self._driver.forget(forgotten)
        if self._spool.articles:
            log.info("taking up the spool", extra={"articles": self._spool.articles})
        self._task = background.start(self._run(ledger))

    async def drain(self, seconds: float) -> bool:
        """Finish what is in the spool, for up to so many seconds. Nothing more must arrive.

        Returns whether the store has all of it.
        """
        self._feed.draining = True
        self._driver.wake()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
        done = self._task is not None and self._task.done() and not self._spool.articles
        if not done:
            log.warning("stopping with work left", extra={"articles": self._spool.articles})
        return done

    async def _run(self, ledger: Ledger) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forgetter.run(self._driver.forget))
                await self._driver.run(self._feed, ledger)
                self._forgetter.end()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first one cancelled the others
