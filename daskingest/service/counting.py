"""Counts the spool's articles with the driver, from the start until it is drained."""

from __future__ import annotations

import asyncio
import logging

from daskingest.ledger import Ledger, shards_in
from daskingest.pipeline.driver import Driver
from daskingest.service.background import Background
from daskingest.service.feed import Feed, Forgetter
from daskingest.service.spool import Spool

log = logging.getLogger(__name__)


class Counting:
    """Counts what the spool has and what comes, and lets it forget what is counted.

    `owner` is what the driver is called in the store.
    """

    def __init__(
        self, spool: Spool, driver: Driver, owner: str, feed: Feed, forgetter: Forgetter
    ) -> None:
        self.in_flight = forgetter.in_flight
        self._owner = owner
        self._spool = spool
        self._driver = driver
        self._feed = feed
        self._forgetter = forgetter
        self._task: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> str:
        """What keeps articles from being counted; empty if nothing does."""
        return self._driver.trouble

    @property
    def late(self) -> dict[str, float]:
        """The batches that have taken half of the time they may, and for how many seconds."""
        return {str(batch_id): round(seconds, 1) for batch_id, seconds in self._driver.late.items()}

    async def start(self, background: Background) -> None:
        """Take up what the spool has, and go on with what comes."""
        await self._spool.add_owner(self._owner)
        ledger = await self._driver.take_over(self._spool.id)
        await self._spool.keep_owner(self._owner)
        self._feed.shards = shards_in(ledger, self._spool.id)
        await self._forget()
        if self._spool.articles:
            log.info("counting what is in the spool", extra={"articles": self._spool.articles})
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
            log.warning(
                "stopping before everything was counted", extra={"articles": self._spool.articles}
            )
        return done

    async def _forget(self) -> None:
        """What the spool has forgotten, the ledger may forget."""
        await self._driver.forget(self._spool.id, self._spool.forgotten_up_to)

    async def _run(self, ledger: Ledger) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forgetter.run(self._forget))
                await self._driver.run(self._feed, ledger)
                self._forgetter.end()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first one cancelled the others
