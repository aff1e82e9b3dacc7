"""The Dask cluster: starts one on this machine, or connects to an existing one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask
import distributed.utils
from dask.system import CPU_COUNT
from distributed import Client, Nanny, Scheduler, SpecCluster
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.utils import format_dashboard_link

from daskingest.errors import DaskingestError, UsageError
from daskingest.logs import Forward, take_forwarded
from daskingest.pipeline import template
from daskingest.pipeline.members import EXTRACT, SAVER, addresses, count_workers, start_hint
from daskingest.pipeline.versions import Versions, differences, versions_here
from daskingest.pipeline.waiting import NotThere
from daskingest.settings import RecognizerKind

WORKER_MEMORY = "4 GiB"
"""Memory limit of a worker. It takes about 0.5 GiB, and up to 3 more for a million characters."""

DASK_CONFIG: dict[str, Any] = {
    # A task whose worker died goes back to the driver, which decides what to do about it.
    "distributed.scheduler.allowed-failures": 0,
    # Workers keep no results. A paused worker can stay paused forever; past the limit it is better
    # to replace it.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # While a worker loads its model or extracts, it does not answer.
    "distributed.admin.tick.limit": "30s",
    # By default Dask monitors each process dozens of times a second; that took 3 % of the cores.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "2s",
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.comm.timeouts.connect": "10s",
    "distributed.worker.profile.enabled": False,
    # Dask would keep the last thousand messages to each worker, with the articles in them.
    "distributed.admin.low-level-log-length": 1,
    # Wait for a worker to come back, however long it takes.
    "distributed.deploy.lost-worker-timeout": "365 days",
    "distributed.nanny.pre-spawn-environ": template.ENVIRONMENT,
}
"""What a cluster's processes must agree on; `cluster/dask.yaml` says the same."""

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
            await _retire(worker, wrong)
        elif extracts:
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
) -> AsyncIterator[Client]:
    """A client of a cluster with the model loaded: the one at `scheduler`, else a new local one.

    The local cluster's workers have this `niceness`. It listens on the loopback address only, and
    ends with the context or with this process, however that ends. Raises UsageError if the cluster
    cannot be used: NotThere if that is for want of a scheduler or a kind of worker.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(dask.config.set(DASK_CONFIG))
        if scheduler is None:
            stack.enter_context(_quiet())
            stack.enter_context(_forking(template.start(model, recognizer)))
            try:
                starting = _local_cluster(workers or CPU_COUNT)
                local = await stack.enter_async_context(starting)
            except RuntimeError as error:
                cause = error.__cause__ or error
                raise DaskingestError(
                    f"the workers could not be started: {cause}; try again, perhaps with fewer "
                    "--workers if this machine is short of memory"
                ) from error
            client = await stack.enter_async_context(Client(local, asynchronous=True))
        else:
            stack.enter_context(_quiet())
            client = await stack.enter_async_context(_connect(scheduler))
        await require_resources(client, scheduler or client.scheduler.address)
        expected = await asyncio.to_thread(versions_here, model)
        if scheduler is not None and (lines := await _differing(client, model, expected)):
            raise UsageError(
                "\n  ".join(["these workers would not count as this machine does:", *lines])
            )
        client.subscribe_topic(_LOG_TOPIC, lambda event: take_forwarded(event[1]))
        try:
            nice = niceness if scheduler is None else 0
            plugin = LoadModel(model, recognizer, expected, client.id, nice)
            if scheduler is not None:
                stack.push_async_callback(_unregister, client, plugin.name)
            await client.register_plugin(plugin)
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(f"the workers cannot load the model {model}: {error}") from error
        yield client


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Dask's messages about its processes: the driver reports what matters."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    key = "distributed.nanny.pre-spawn-environ"
    environment = {**dask.config.get(key), **template.QUIET}
    try:
        with dask.config.set({key: environment}):
            yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def _forking(forks: bool) -> Iterator[None]:
    """Have Dask start its processes as forks of the template, if there is one."""
    # Else Dask would import pandas here, for its own template to have it.
    vars(distributed.utils)["_forkserver_preload_set"] = True
    method = "forkserver" if forks else "spawn"
    with dask.config.set({"distributed.worker.multiprocessing-method": method}):
        yield


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


def _local_cluster(workers: int) -> SpecCluster:
    # Another program may take the dashboard's port meanwhile: the address that it got is printed.
    warnings.filterwarnings("ignore", r"Port \d+ is already in use", UserWarning)
    shared = {
        "host": _HOST,
        "nthreads": 1,
        "dashboard": False,  # each worker's own; the scheduler's shows them all
    }
    extract = {**shared, "memory_limit": WORKER_MEMORY, "resources": {EXTRACT: 1}}
    saver = {**shared, "memory_limit": WORKER_MEMORY, "resources": {SAVER: 1}}
    specs: dict[str, Any] = {
        f"{EXTRACT}-{i}": {"cls": Nanny, "options": extract} for i in range(workers)
    }
    specs[SAVER] = {"cls": Nanny, "options": saver}
    options = {
        "host": [_HOST, ""],
        "protocol": ["tcp", "inproc"],
        "port": 0,
        "dashboard_address": f"{_HOST}:{_dashboard_port()}",
    }
    return _LocalCluster(  # type: ignore[no-untyped-call]
        workers=specs,
        scheduler={"cls": Scheduler, "options": {**options, "dashboard": True}},
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


@asynccontextmanager
async def _connect(address: str) -> AsyncIterator[Client]:
    try:
        client = await Client(address, asynchronous=True, timeout="10s")
    except (OSError, ValueError, TypeError) as error:
        reason = str(error) or type(error).__name__
        raise NotThere(
            f"no Dask scheduler at {address}: {reason}; "
            "expected an address like tcp://HOST:8786, start one with `dask scheduler`"
        ) from None
    async with client:
        yield client


async def require_resources(client: Client, address: str) -> None:
    """Raise NotThere, with the command that starts it, if a kind of worker is missing."""
    for resource in (EXTRACT, SAVER):
        if not await count_workers(client, resource):
            raise NotThere(
                f"the cluster has no worker with the resource {resource!r}: "
                f"{start_hint(address, resource)}"
            )


async def _unregister(client: Client, plugin: str) -> None:
    """Workers that join from now on are none of this driver's business."""
    with contextlib.suppress(Exception):  # there may be no scheduler any more
        async with asyncio.timeout(_UNREGISTER_SECONDS):
            await client.unregister_worker_plugin(plugin)


async def _differing(client: Client, model: str, expected: Versions) -> list[str]:
    """A line for each worker that would count with something else."""
    lines = []
    for kind, wanted in ((EXTRACT, model), (SAVER, "")):
        workers = await addresses(client, kind)
        found = await client.run(versions_here, wanted, workers=workers, on_error="return")
        for address, theirs in sorted(found.items()):
            if isinstance(theirs, Versions):
                lines += [f"{address}: {each}" for each in differences(theirs, expected)]
            else:
                reason = f"{type(theirs).__name__}: {theirs}"
                lines.append(f"{address}: cannot count: {reason}; check what is installed there")
    return lines


@dataclass(frozen=True, slots=True)
class Survey:
    """How many workers of each kind a cluster has, and a line for each that would be refused."""

    extract: int
    saver: int
    refused: list[str]


async def survey(address: str, model: str) -> Survey:
    """What the cluster at an address has for counting with a model.

    Raises UsageError if it cannot be used.
    """
    expected = versions_here(model)
    with dask.config.set(DASK_CONFIG), _quiet():
        async with _connect(address) as client:
            await require_resources(client, address)
            return Survey(
                await count_workers(client, EXTRACT),
                await count_workers(client, SAVER),
                await _differing(client, model, expected),
            )
