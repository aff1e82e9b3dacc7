"""Counts the spool's articles with a driver, from the start until it is drained.

Where the cluster's scheduler is lost, articles wait in the spool until there is another one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from functools import partial
from math import inf

from distributed import Client

from daskingest.errors import StoreError, UsageError
from daskingest.ledger import Ledger, shards_in
from daskingest.pipeline.driver import Driver, open_driver
from daskingest.pipeline.savers import Work
from daskingest.pipeline.waiting import SchedulerLost, Waiting
from daskingest.service.background import Background
from daskingest.service.feed import Feed, Forgetter, InFlight
from daskingest.service.group_commit import SpoolError
from daskingest.service.restored import require_still_ours
from daskingest.service.spool import Spool

_RETRY_SECONDS = 1.0

_MAY_PASS = (SchedulerLost, UsageError, StoreError, SpoolError, OSError)
"""What may keep it from connecting again, for a while."""

log = logging.getLogger(__name__)


class Counting:
    """Counts what the spool has and what comes, and lets it forget what is counted.

    `connect` gives a cluster, and `feed` makes a source of what the spool has, to be asked again
    when its argument is called.
    """

    def __init__(
        self,
        spool: Spool,
        work: Work,
        connect: Callable[[], AbstractAsyncContextManager[Client]],
        feed: Callable[[Callable[[], None]], Feed],
        forgetter: Forgetter,
    ) -> None:
        self.client: Client | None = None
        """That of the cluster, if there is one now."""
        self.dashboard = ""
        """The address of the dashboard of the last one."""
        self._spool = spool
        self._work = work
        self._connect = connect
        self._make_feed = feed
        self._forgetter = forgetter
        self._lost = ""
        self._draining = False
        self._driver: Driver | None = None
        self._feed: Feed | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> InFlight:
        """The batches that are being counted."""
        return self._forgetter.in_flight

    @property
    def trouble(self) -> str:
        """What keeps articles from being counted; empty if nothing does."""
        return self._lost or (self._driver.trouble if self._driver is not None else "")

    @property
    def late(self) -> dict[str, float]:
        """The batches that have taken half of the time they may, and for how many seconds."""
        late = self._driver.late if self._driver is not None else {}
        return {str(batch_id): round(seconds, 1) for batch_id, seconds in late.items()}

    def wake(self) -> None:
        """There may be something to count now."""
        if self._driver is not None:
            self._driver.wake()

    async def start(self, background: Background) -> None:
        """Take up what the spool has, and go on with what comes. Raises what keeps it from that."""
        await self._spool.add_owner(self._work.owner)
        started = asyncio.get_running_loop().create_future()
        self._task = background.start(self._run(started))
        await started
        if self._spool.articles:
            log.info("counting what is in the spool", extra={"articles": self._spool.articles})

    async def drain(self, seconds: float) -> bool:
        """Finish what is in the spool, for up to so many seconds. Nothing more must arrive.

        Returns whether the store has all of it.
        """
        self._draining = True
        if self._feed is not None:
            self._feed.draining = True
        self.wake()
        if self._driver is None and not self._spool.articles:
            return True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
        done = self._task is not None and self._task.done() and not self._spool.articles
        if not done:
            log.warning(
                "stopping before everything was counted", extra={"articles": self._spool.articles}
            )
        return done

    async def _run(self, started: asyncio.Future[None]) -> None:
        """Count on one cluster after the other. An error of the first one is that of `started`;
        later it is waited for one that can be used.
        """
        waiting, loop = Waiting(inf), asyncio.get_running_loop()
        while True:
            counts = False
            try:
                async with self._connection() as driver:
                    if started.done():
                        await require_still_ours(self._spool, self._work.store_url)
                    ledger = await driver.take_over(self._spool.id)
                    await self._spool.keep_owner(self._work.owner)
                    await self._forget(driver)
                    self._lost = ""
                    waiting.looked("", loop.time())
                    if not started.done():
                        started.set_result(None)
                    counts = True
                    return await self._count(driver, ledger)
            except Exception as error:
                if not started.done():
                    return started.set_exception(error)
                if not isinstance(error, SchedulerLost if counts else _MAY_PASS):
                    raise
                self._lost = _said(error)
            waiting.looked(self._lost, loop.time())
            await asyncio.sleep(_RETRY_SECONDS)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Driver]:
        try:
            async with (
                self._connect() as client,
                open_driver(client, self._work, self._forgetter) as driver,
            ):
                self.client, self.dashboard, self._driver = client, client.dashboard_link, driver
                yield driver
        finally:
            self.client = self._driver = None

    async def _count(self, driver: Driver, ledger: Ledger) -> None:
        """Count until there will be no more. Raises SchedulerLost; what is counted is forgotten."""
        self.in_flight.clear()  # a batch is told of again by the feed if the spool still has it
        lost: SchedulerLost | None = None
        try:
            with closing(self._make_feed(driver.wake)) as self._feed:
                self._feed.draining = self._draining
                self._feed.shards = shards_in(ledger, self._spool.id)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._forgetter.run(partial(self._forget, driver)))
                    try:
                        await driver.run(self._feed, ledger)
                    except SchedulerLost as error:
                        lost, self._lost = error, error.what
                    self._forgetter.end()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first one cancelled the others
        if lost is not None:
            raise lost

    async def _forget(self, driver: Driver) -> None:
        """What the spool has forgotten, the ledger may forget."""
        await driver.forget(self._spool.id, self._spool.forgotten_up_to)


def _said(error: Exception) -> str:
    return error.what if isinstance(error, SchedulerLost) else str(error) or type(error).__name__
