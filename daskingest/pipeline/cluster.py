"""The Dask cluster: starts one on this machine, or connects to an existing one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from dask.system import CPU_COUNT
from distributed import Client, Nanny, SpecCluster
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.utils import format_dashboard_link

from daskingest.errors import DaskingestError, UsageError
from daskingest.logs import Forward, take_forwarded
from daskingest.pipeline import template
from daskingest.pipeline.conditions import tell, unlike
from daskingest.pipeline.connecting import connect, require_resources, require_same
from daskingest.pipeline.dask_settings import (
    EXTRACT,
    GC_THRESHOLD,
    REFUSED,
    SAVER,
    WORKER_MEMORY,
    forking,
    in_force,
    saver_memory,
)
from daskingest.pipeline.light_scheduler import LightScheduler
from daskingest.pipeline.steady import steady
from daskingest.pipeline.tls import NO_TLS, Tls
from daskingest.pipeline.versions import Versions, differences, versions_here
from daskingest.resources import free_memory
from daskingest.settings import RecognizerKind

DASHBOARD_PORT = 8787
_LOG_TOPIC = "daskingest-log"
_HOST = "127.0.0.1"
_UNREGISTER_SECONDS = 5.0

log = logging.getLogger(__name__)


class LoadModel(WorkerPlugin):
    """Loads the model on each extraction worker, before its first task.

    A worker that counts with something else than `expected` is refused: it is closed before it has
    a task, and it is logged what differs. What the workers log is sent to the client. With
    `niceness` the worker leaves the processor to others first, as far as that goes.

    It is of one driver, whose client has the id `client`. Where that is gone, it does nothing.
    """

    idempotent = True

    def __init__(
        self,
        model: str,
        recognizer: RecognizerKind,
        expected: Versions,
        client: str,
        niceness: int = 0,
    ) -> None:
        self._model = model
        self._recognizer = recognizer
        self._expected = expected
        self._client = client
        self._niceness = niceness
        self.name = f"daskingest-model-{client}"

    async def setup(self, worker: Any) -> None:
        """Called by Dask on each worker, also on those that join later."""
        steady()
        logger = logging.getLogger("daskingest")
        if not any(isinstance(handler, Forward) for handler in logger.handlers):
            logger.addHandler(Forward(partial(worker.log_event, _LOG_TOPIC)))
            for record in template.kept:
                logger.handle(record)
        extracts = EXTRACT in worker.state.total_resources
        if not extracts and SAVER not in worker.state.total_resources:
            return  # another's
        if await self._is_left(worker):
            return
        if wrong := self._wrong(extracts):
            log.error("worker %s is refused: %s", worker.address, wrong)
            await _retire(worker, REFUSED + wrong)
            return
        gc.set_threshold(GC_THRESHOLD)
        if extracts:
            from daskingest.models import load_model

            load_model(self._model, self._recognizer)
            os.nice(self._niceness)

    async def _is_left(self, worker: Any) -> bool:
        """Whether its driver has gone without taking it along, as one that was killed does."""
        events = await worker.scheduler.events(topic=self._client)
        actions = [event["action"] for _, event in events if "action" in event]
        return "remove-client" in actions[-1:]

    def _wrong(self, extracts: bool) -> str:
        """What keeps this process from counting as the driver would."""
        try:
            here = versions_here(self._model if extracts else "")
        except DaskingestError as error:
            return str(error)
        return "; ".join(differences(here, self._expected))


async def _retire(worker: Any, reason: str) -> None:
    """Have a worker that starts get no task, and its process end, which nothing starts again."""
    await worker.scheduler.retire_workers(
        workers=[worker.address], close_workers=False, remove=True
    )

    async def end() -> None:
        if worker.nanny is None:
            await worker.close(reason=reason)
        else:
            with contextlib.suppress(OSError):  # it ends this process before it answers
                async with worker.rpc(worker.nanny) as nanny:
                    await nanny.terminate(reason=reason)

    worker.loop.add_callback(end)  # it cannot be closed while it starts


@asynccontextmanager
async def cluster(
    scheduler: str | None,
    workers: int | None,
    model: str,
    niceness: int = 0,
    recognizer: RecognizerKind = RecognizerKind.FAST,
    tls: Tls = NO_TLS,
    savers: int = 1,
) -> AsyncIterator[Client]:
    """A client of a cluster with the model loaded: the one at `scheduler`, else a new local one.

    `tls` are the certificates to reach it with. The local cluster's workers have this `niceness`,
    and it has a worker for each of so many `savers`. It listens on the loopback address only, and
    ends with the context or with this process, however that ends. Raises UsageError if the cluster
    cannot be used: NotThere if that is for want of a scheduler or a kind of worker.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(in_force())
        if scheduler is None:
            stack.enter_context(forking(template.start(model, recognizer)))
            try:
                starting = _local_cluster(workers or CPU_COUNT, savers)
                local = await stack.enter_async_context(starting)
            except RuntimeError as error:
                raise DaskingestError(
                    f"the workers could not be started: {error.__cause__ or error}; try again, "
                    "perhaps with fewer --workers if this machine is short of memory"
                ) from error
            client = await stack.enter_async_context(Client(local, asynchronous=True))
        else:
            client = await stack.enter_async_context(connect(scheduler, tls))
        await require_resources(client, scheduler or client.scheduler.address)
        expected = await asyncio.to_thread(versions_here, model)
        if scheduler is not None:
            await require_same(client, model, expected)
            tell(await unlike(client, scheduler))
        client.subscribe_topic(_LOG_TOPIC, lambda event: take_forwarded(event[1]))
        try:
            nice = niceness if scheduler is None else 0
            plugin = LoadModel(model, recognizer, expected, client.id, nice)
            if scheduler is not None:
                stack.push_async_callback(_unregister, client, plugin.name)
            await _register(client, plugin)
        except UsageError:
            raise
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise UsageError(f"the workers cannot load the model {model}: {reason}") from error
        yield client


async def _register(client: Client, plugin: WorkerPlugin) -> None:
    """Have all workers load the model. On a busy machine one may not answer in time at first."""
    for _ in range(2):
        with contextlib.suppress(OSError):
            await client.register_plugin(plugin)
            return
    await client.register_plugin(plugin)


class _LocalCluster(SpecCluster):
    """One whose scheduler is in this process, and is talked to without a socket from here."""

    @property
    def scheduler_address(self) -> str:
        """Where clients in this process find the scheduler."""
        scheduler: Any = self.scheduler
        return str(scheduler.listeners[-1].contact_address)

    @property
    def dashboard_link(self) -> str:
        """Where browsers find the dashboard."""
        port = self.scheduler_info["services"].get("dashboard")
        return str(format_dashboard_link(_HOST, port)) if port else ""


def _local_cluster(workers: int, savers: int) -> SpecCluster:
    # Another program may take the dashboard's port meanwhile: the address that it got is printed.
    warnings.filterwarnings("ignore", r"Port \d+ is already in use", UserWarning)
    shared = {
        "host": _HOST,
        "nthreads": 1,
        "dashboard": False,  # each worker's own; the scheduler's shows them all
    }
    extract = {**shared, "memory_limit": WORKER_MEMORY, "resources": {EXTRACT: 1}}
    memory = saver_memory(free_memory(), savers)
    saver = {**shared, "memory_limit": memory, "resources": {SAVER: 1}}
    specs: dict[str, Any] = {
        f"{EXTRACT}-{i}": {"cls": Nanny, "options": extract} for i in range(workers)
    }
    for number in range(savers):
        name = f"{SAVER}-{number}" if number else SAVER
        specs[name] = {"cls": Nanny, "options": saver}
    options = {
        "host": [_HOST, ""],
        "protocol": ["tcp", "inproc"],
        "port": 0,
        "dashboard_address": f"{_HOST}:{_dashboard_port()}",
    }
    return _LocalCluster(  # type: ignore[no-untyped-call]
        workers=specs,
        scheduler={"cls": LightScheduler, "options": options},
        asynchronous=True,
        name="daskingest",
        shutdown_on_close=True,
    )


def _dashboard_port() -> int:
    """The usual port, or 0 (any) if that is taken, for example by another run."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, DASHBOARD_PORT))
        except OSError:
            return 0
    return DASHBOARD_PORT


async def _unregister(client: Client, plugin: str) -> None:
    """Workers that join from now on are none of this driver's business."""
    with contextlib.suppress(Exception):  # there may be no scheduler any more
        async with asyncio.timeout(_UNREGISTER_SECONDS):
            await client.unregister_worker_plugin(plugin)
