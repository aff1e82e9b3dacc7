"""The scheduler of a cluster of several machines: Dask's, with daskingest's settings."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from daskingest.errors import UsageError
from daskingest.pipeline.light_scheduler import LightScheduler
from daskingest.pipeline.tls import Tls

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a scheduler can be reached, and its dashboard, which is empty if there is none."""

    address: str
    dashboard: str


@asynccontextmanager
async def scheduler(host: str, port: int, dashboard: str, tls: Tls) -> AsyncIterator[Listening]:
    """A scheduler until the context ends. Raises UsageError if it can't listen there."""
    _allow_many_files()
    protocol = tls.protocol("scheduler")
    security = tls.security(f"{protocol}://", "scheduler")
    warnings.filterwarnings(
        "ignore", r"Port \d+ is already in use", UserWarning
    )  # of the dashboard
    try:
        running = await LightScheduler(
            host=host,
            port=port,
            protocol=protocol,
            security=security,
            dashboard_address=dashboard,
        )
    except (OSError, RuntimeError, ValueError) as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or str(cause)
        raise UsageError(
            f"a scheduler cannot listen on {host}, port {port}: {reason}; choose another address "
            "of this machine with --host, or a free port with --port"
        ) from None
    try:
        shown = running.services.get("dashboard")
        place, _, wanted = dashboard.rpartition(":")
        link = f"http://{place}:{shown.port}/status" if shown else ""
        if shown and wanted not in ("0", str(shown.port)):
            log.warning("port %s is in use: the dashboard is at %s", wanted, link)
        yield Listening(running.address, link)
    finally:
        await running.close(reason="told to stop")


def _allow_many_files() -> None:
    """Each worker is a few connections, and the usual limit is that of one program's files."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard // 2), hard))
