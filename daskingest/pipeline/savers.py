"""The driver's savers, one after the other; a lost one is replaced when it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar
from uuid import uuid4

from distributed import Client

from daskingest.errors import DaskingestError, StoreError
from daskingest.ledger import Ledger
from daskingest.pipeline.actors import SaverLost
from daskingest.pipeline.dask_settings import SAVER
from daskingest.pipeline.members import addresses
from daskingest.pipeline.saver_client import SaverClient
from daskingest.pipeline.store_place import require_one_store
from daskingest.settings import RecognizerKind
from daskingest.stores import Replaced

T = TypeVar("T")


class TakenOver(DaskingestError):
    """Another program counts the same run into the same store. It goes on, and this one ends."""

    def __init__(self) -> None:
        super().__init__(
            "another daskingest, started later, is counting the same articles into this store: it "
            "continues and this one ends; what this one counted is kept, and nothing counts twice"
        )


@dataclass(frozen=True, slots=True)
class Work:
    """What a driver's workers extract with, and where its savers write to, how often.

    `owner` names the driver, in the store and for ever. A batch may take `batch_timeout` seconds
    for each MiB of it. When the last worker of a kind was lost, `lost_workers` seconds are waited.
    There are so many `savers`.
    """

    model: str
    store_url: str
    flush_interval: float
    batch_timeout: float
    recognizer: RecognizerKind = RecognizerKind.FAST
    lost_workers: float = inf
    owner: str = field(default_factory=lambda: uuid4().hex)
    savers: int = 1


class Savers:
    """Starts a saver when one is needed and there is none; `started` is called with each.

    It gets the next of the `numbers`. Of the workers for it, those that are not `used` come first.
    """

    def __init__(
        self,
        client: Client,
        work: Work,
        started: Callable[[SaverClient], None],
        numbers: Iterator[int],
        used: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.current: SaverClient | None = None
        self._numbers = numbers
        self._used = used
        self._client = client
        self._work = work
        self._started = started
        self._needed = False
        self._starting = asyncio.Lock()

    @property
    def awaited(self) -> bool:
        """Whether a saver is needed, and there is none yet."""
        return self._needed and self.current is None

    async def ready(self) -> SaverClient:
        """The current saver, or a new one.

        Raises DaskingestError as `SaverClient.start` does, and if it does not see the store's file.
        """
        async with self._starting:
            if self.current is None:
                self._needed = True
                work = self._work
                started = await SaverClient.start(
                    self._client,
                    next(self._numbers),
                    work.store_url,
                    work.flush_interval,
                    work.owner,
                    work.savers,
                    preferred=await self._free(),
                )
                # It may be on a worker that was not there when the run began. If the disk is full
                # now, the saver itself waits for it.
                with suppress(StoreError):
                    await require_one_store(self._client, work.store_url, [started.worker])
                self.current = started
                self._started(started)
            return self.current

    async def _free(self) -> list[str]:
        """The workers for savers that have none yet: savers beside each other are spread."""
        if self._work.savers == 1:
            return []
        try:
            there = await addresses(self._client, SAVER)
        except OSError:
            return []  # it is told where the saver can't be started
        return sorted({*there} - {*self._used()})

    def with_number(self, number: int) -> SaverClient:
        """The saver with this number. Raises SaverLost if it is not the current one."""
        if self.current is None or self.current.number != number:
            raise SaverLost("it was replaced")
        return self.current

    def drop(self, saver: SaverClient) -> None:
        """It is lost. Who still awaits an answer of it must not keep it."""
        saver.release()
        if self.current is saver:
            self.current = None

    def check_replaced(self, error: Replaced) -> None:
        """Raise TakenOver unless it was by a saver of this driver, which it took for lost."""
        if error.owner != self._work.owner:
            raise TakenOver from None

    async def take_over(self, *runs: str) -> Ledger:
        """Hold runs from now on. Returns what the store's ledger has of them then."""
        return await self._call(lambda saver: saver.take_over(*runs))

    async def begin(self, shards: int, *runs: str) -> Ledger:
        """See `Saver.begin`."""
        return await self._call(lambda saver: saver.begin(shards, *runs))

    async def enter(self, entries: Ledger) -> None:
        """See `Saver.enter`."""
        await self._call(lambda saver: saver.enter(entries))

    async def _call(self, work: Callable[[SaverClient], Awaitable[T]]) -> T:
        while True:
            saver = await self.ready()
            try:
                return await work(saver)
            except SaverLost:
                self.drop(saver)
            except Replaced as error:
                self.check_replaced(error)
                self.drop(saver)
