"""The driver's savers, one after the other; a lost one is replaced when it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from distributed import Client

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Entry, Ledger
from daskingest.pipeline.actors import SaverLost
from daskingest.pipeline.saver_client import SaverClient


class Savers:
    """Starts a saver when one is needed and there is none; `started` is called with each."""

    def __init__(
        self,
        client: Client,
        store_url: str,
        flush_interval: float,
        started: Callable[[SaverClient], None],
    ) -> None:
        self.current: SaverClient | None = None
        self._client = client
        self._store_url = store_url
        self._flush_interval = flush_interval
        self._started = started
        self._count = 0
        self._starting = asyncio.Lock()

    @property
    def awaited(self) -> bool:
        """Whether a saver is needed, and there is none yet."""
        return self._count > 0 and self.current is None

    async def ready(self) -> SaverClient:
        """The current saver, or a new one. Raises DaskingestError as `SaverClient.start` does."""
        async with self._starting:
            if self.current is None:
                self._count += 1
                self.current = await SaverClient.start(
                    self._client, self._count, self._store_url, self._flush_interval
                )
                self._started(self.current)
            return self.current

    def with_number(self, number: int) -> SaverClient:
        """The saver with this number. Raises SaverLost if it is not the current one."""
        if self.current is None or self.current.number != number:
            raise SaverLost("it was replaced")
        return self.current

    def drop(self, saver: SaverClient) -> None:
        """Note that a saver is lost."""
        if self.current is saver:
            self.current = None

    async def ledger(self, run: str) -> Ledger:
        """The store's ledger of a run."""
        while True:
            saver = await self.ready()
            try:
                return await saver.ledger(run)
            except SaverLost:
                self.drop(saver)

    async def enter(self, batch_id: BatchId, entry: Entry) -> None:
        """Put an entry without counts into the ledger, unless it is there. Returns when it is."""
        while True:
            saver = await self.ready()
            try:
                await saver.add(batch_id, Counts(), entry)
                return await saver.drain()
            except SaverLost:
                self.drop(saver)
