"""The driver's side of a saver, in a cluster of real workers."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from dask.utils import parse_bytes
from distributed.diagnostics.plugin import SchedulerPlugin

from daskingest.models import find_model
from daskingest.pipeline.cluster import cluster
from daskingest.pipeline.dask_settings import SAVER, WORKER_MEMORY, saver_memory
from daskingest.pipeline.members import addresses
from daskingest.pipeline.saver_client import SaverClient
from daskingest.resources import free_memory


class KillSavers(SchedulerPlugin):
    """Kills the workers of the first so many savers at the moment when they have started."""

    def __init__(self, pids: dict[str, int], times: int) -> None:
        self.pids = pids
        self.times = times

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Called by Dask."""
        if str(key).startswith("saver-") and finish == "memory" and self.times:
            self.times -= 1
            os.kill(self.pids.popitem()[1], signal.SIGKILL)


def limit_of(dask_worker: Any) -> int:
    """Called in each worker, which is given to what has an argument of this name."""
    limit: int = dask_worker.memory_manager.memory_limit
    return limit


# Dask leaves a socket open with which it was connecting to the worker that died.
@pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket.*laddr=\('0.0.0.0', 0\)>"
    ":pytest.PytestUnraisableExceptionWarning"
)
def test_a_saver_whose_worker_dies_when_it_has_started_is_started_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"

    async def play() -> None:
        async with cluster(None, 1, find_model()) as client:
            [address] = await addresses(client, SAVER)
            pids = await client.run(os.getpid, workers=[address])
            local: Any = client.cluster
            local.scheduler.add_plugin(KillSavers(dict(pids), times=1))
            saver = await SaverClient.start(client, 1, url, 1.0, "me")
            assert saver.worker != address
            assert await saver.take_over("run") == {}
            limits = await client.run(limit_of)
            mine = limits.pop(saver.worker)
            assert set(limits.values()) == {parse_bytes(WORKER_MEMORY)}
            about = saver_memory(free_memory())  # which others change meanwhile
            assert about / 2 < mine < 2 * about

    asyncio.run(play())
    gc.collect()  # here, and not in another test
