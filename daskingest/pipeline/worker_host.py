"""The workers of one machine, kept at a cluster whatever happens to its scheduler or the network.

Dask ends a worker, and its nanny, when the scheduler has let it go, which it does of one that it
has not heard of for half a minute. Here a new one takes its place when the scheduler can be reached
again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from distributed import Security
from distributed.comm.addressing import get_address_host
from distributed.comm.core import connect

from daskingest.errors import DaskingestError
from daskingest.pipeline.dask_settings import REFUSED
from daskingest.pipeline.draining import DrainingNanny
from daskingest.pipeline.reaching import why_unreached

_CONNECT_SECONDS = 5.0
_LONGEST_PAUSE = 15.0
_END_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workers:
    """`count` workers with a resource, for the scheduler at an address.

    `host` is where they listen: by default the address from which this machine reaches the
    scheduler. Each may take `memory` bytes. Told to go, they have `drain_seconds` to finish.
    """

    resource: str
    count: int
    address: str
    security: Security
    host: str | None
    memory: int
    drain_seconds: float


class WorkerHost:
    """Keeps workers at a cluster. `await run()` once."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._nannies: set[DrainingNanny] = set()
        self._stopping = asyncio.Event()
        self._reaching = asyncio.Lock()
        self._unreached = self._warned = False
        self._refused = ""

    def stop(self) -> None:
        """Finish what is begun, then return."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep the workers until told to stop. Raises DaskingestError if all are refused."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        keeping = asyncio.gather(*(self._keep() for _ in range(self._workers.count)))
        try:
            await asyncio.wait((stopping, keeping), return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                await keeping  # raises what was unexpected
                raise DaskingestError(f"the workers were refused: {self._refused}")
            await asyncio.gather(*map(self._end, list(self._nannies)))
        finally:
            stopping.cancel()
            keeping.cancel()
            await asyncio.gather(stopping, keeping, return_exceptions=True)

    async def _keep(self) -> None:
        """One worker after the other, until it is refused or this is told to stop."""
        for pause in _pauses():
            host = await self._reach()
            nanny = self._nanny(host)
            self._nannies.add(nanny)
            try:
                await nanny
                log.info("worker %s has joined %s", nanny.worker_address, self._workers.address)
                await nanny.finished()  # type: ignore[no-untyped-call]
            except Exception as error:
                if self._stopping.is_set():
                    return
                log.warning("a worker could not be started: %s; trying again", error)
                await asyncio.sleep(pause)
                continue
            finally:
                self._nannies.discard(nanny)
            if nanny.reason.startswith(REFUSED):
                self._refused = nanny.reason.removeprefix(REFUSED)
                log.error("a worker was refused: %s", self._refused)
                return
            if self._stopping.is_set():
                return
            log.warning("a worker has left (%s): another one takes its place", nanny.reason)

    async def _reach(self) -> str:
        """Wait until the scheduler can be reached. Returns the address to listen on."""
        workers = self._workers
        arguments = workers.security.get_connection_args("worker")
        async with self._reaching:
            for pause in _pauses():
                try:
                    comm = await connect(workers.address, timeout=_CONNECT_SECONDS, **arguments)
                except (OSError, TimeoutError) as error:
                    await self._tell_why(str(error))
                    await asyncio.sleep(pause)
                else:
                    host = workers.host or get_address_host(comm.local_address)
                    comm.abort()
                    break
            if self._unreached:
                self._unreached = False
                log.info("the scheduler at %s can be reached", workers.address)
        self._warn_of(host)
        return host

    async def _tell_why(self, said: str) -> None:
        """Once, why there is no scheduler."""
        if self._unreached:
            return
        self._unreached = True
        workers = self._workers
        reason = await asyncio.to_thread(
            why_unreached, workers.address, workers.security, said, "worker"
        )
        log.warning("waiting for the scheduler at %s: %s", workers.address, reason)

    def _warn_of(self, host: str) -> None:
        if not self._warned and (warning := exposure(host, self._workers.address)):
            self._warned = True
            log.warning("%s", warning)

    def _nanny(self, host: str) -> DrainingNanny:
        workers = self._workers
        return DrainingNanny(
            workers.address,
            nthreads=1,
            resources={workers.resource: 1},
            memory_limit=workers.memory,
            security=workers.security,
            host=host,
            dashboard=False,
        )

    async def _end(self, nanny: DrainingNanny) -> None:
        if address := nanny.worker_address:
            log.info("worker %s finishes what it has begun", address)
            if not await nanny.drain(self._workers.drain_seconds):
                log.warning("worker %s did not finish in time: others do that again", address)
        with suppress(Exception):  # it ends with this process
            await nanny.close(timeout=_END_SECONDS, reason="told to stop")


def _pauses() -> Iterator[float]:
    """Seconds to wait before each further attempt."""
    pause = 0.5
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)


def exposure(host: str, address: str) -> str:
    """What is to be said of listening on `host` for a cluster at an address; empty if nothing."""
    if address.startswith("tls://") or host == "localhost":
        return ""
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return ""
    return (
        f"it listens on {host} without encryption: whoever can reach its ports can run any code on "
        "this machine; keep the network closed to others, or use tls:// (cluster/README.md)"
    )
