"""What the driver asks the extraction workers, also those that are not there any more."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace
from typing import Any

from distributed import Client, Scheduler, Worker

from daskingest.ledger import BatchId
from daskingest.pipeline.crew import Crew, Hooks
from daskingest.pipeline.dask_settings import EXTRACT
from daskingest.pipeline.events import Event, LookAtWorker, WorkerLooked
from daskingest.pipeline.savers import Work
from daskingest.pipeline.worker_process import _seen_by_nanny as seen_by_nanny


def test_a_worker_that_has_gone_since_the_last_look_is_looked_at_in_vain() -> None:
    told: list[Event] = []
    hooks = Hooks(told.append, lambda seconds: None, asyncio.create_task)
    options: dict[str, Any] = {"nanny": "tcp://127.0.0.1:9", "resources": {EXTRACT: 1}}

    async def ask() -> None:
        async with (
            Scheduler(protocol="inproc", dashboard_address="127.0.0.1:0") as scheduler,
            Client(scheduler.address, asynchronous=True) as client,
        ):
            crew = Crew(client, Work("", "", 0.0, 0.0), hooks)
            async with Worker(scheduler.address, dashboard=False, **options) as worker:
                [address] = await crew.look()
                await worker.close(nanny=False)
            await crew.look_at_worker(LookAtWorker(BatchId("r", "0"), 1, address))
            crew.close()

    asyncio.run(ask())
    assert told == [WorkerLooked(BatchId("r", "0"), 1, None, hindered=True)]


def test_a_nanny_whose_worker_has_no_process_has_seen_nothing() -> None:
    """What the nanny itself has had of the processor is no worker's."""
    assert seen_by_nanny(SimpleNamespace(pid=None)) is None
    found = seen_by_nanny(SimpleNamespace(pid=os.getpid()))
    assert found is not None
    assert not found.stopped
