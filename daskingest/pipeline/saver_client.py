"""The driver's and the tasks' access to a saver, wherever in the cluster it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from distributed import Client, Future

from daskingest.ledger import BatchId, Entry, Ledger
from daskingest.packed import CompressedCounts
from daskingest.pipeline.actors import ActorAddress, is_lost
from daskingest.pipeline.dask_settings import SAVER
from daskingest.pipeline.pending import Report
from daskingest.pipeline.saver import Saver
from daskingest.pipeline.waiting import SchedulerLost

_PREFERRED_SECONDS = 10.0  # for a worker to start a saver, before any is taken

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SaverRef:
    """A task's access to the saver."""

    address: ActorAddress

    def add(self, batch_id: BatchId, counts: CompressedCounts, entry: Entry) -> None:
        """See `Saver.add`. To be called from a task on a worker. Raises SaverLost."""
        self.address.call_from_task("add", batch_id, counts, entry)


class SaverClient:
    """The driver's side of one saver. All methods raise SaverLost when it is gone, and Replaced.

    `number` distinguishes it from the driver's earlier and later savers, and those beside it.
    """

    def __init__(self, client: Client, number: int, future: Future[Any], ref: SaverRef) -> None:
        self.number = number
        self.ref = ref
        self._client = client
        self._future = future  # Dask keeps the actor as long as this exists
        self._cursor = 0

    @classmethod
    async def start(
        cls,
        client: Client,
        number: int,
        store_url: str,
        flush_interval: float,
        owner: str,
        savers: int = 1,
        preferred: Collection[str] = (),
    ) -> SaverClient:
        """Start a saver of `owner`, of so many, on a worker for it, a `preferred` one if there is
        one. Waits for one, as long as it takes.

        Raises SchedulerLost.
        """
        while True:
            if client.status != "running":
                raise SchedulerLost()
            future = client.submit(
                Saver,
                store_url,
                flush_interval,
                owner,
                savers,
                key=f"saver-{uuid4().hex}",
                actor=True,
                resources={SAVER: 1},
                # With `allow_other_workers` Dask would take those without the resource, too.
                workers=list(preferred) or None,
                pure=False,
            )
            limit, preferred = _PREFERRED_SECONDS if preferred else None, ()
            try:
                async with asyncio.timeout(limit):
                    actor = await future
            except TimeoutError:  # they are gone
                future.release()
                continue
            except CancelledError:
                raise SchedulerLost() from None
            except Exception as error:
                if not is_lost(error):
                    raise
                log.warning("the saver's worker died; trying again")
                continue
            return cls(client, number, future, SaverRef(ActorAddress(actor._address, actor.key)))

    @property
    def worker(self) -> str:
        """The address of the worker that it is on."""
        return self.ref.address.worker

    def release(self) -> None:
        """Let Dask end the actor, which may be running for nobody."""
        self._future.release()

    async def add(self, batch_id: BatchId, counts: CompressedCounts, entry: Entry) -> None:
        """See `Saver.add`."""
        await self._call("add", batch_id, counts, entry)

    async def drain(self) -> None:
        """See `Saver.drain`."""
        await self._call("drain")

    async def report(self) -> Report:
        """What is new since the last report; see `Saver.report`."""
        report: Report = await self._call("report", self._cursor)
        self._cursor = report.next
        return report

    async def forget(self, run: str, up_to: int) -> None:
        """See `Saver.forget`."""
        await self._call("forget", run, up_to)

    async def take_over(self, *runs: str) -> Ledger:
        """See `Saver.take_over`."""
        return dict(await self._call("take_over", *runs))

    async def begin(self, shards: int, *runs: str) -> Ledger:
        """See `Saver.begin`."""
        return dict(await self._call("begin", shards, *runs))

    async def enter(self, entries: Ledger) -> None:
        """See `Saver.enter`."""
        await self._call("enter", entries)

    async def _call(self, method: str, *args: object) -> Any:
        return await self.ref.address.call(self._client, method, *args)
