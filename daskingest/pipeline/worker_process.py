"""A worker's process, also one that does not answer: looked at and ended by its nanny."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Any

import psutil
from distributed import Client

_STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """The seconds that a process had the processor since it began, and whether it is stopped."""

    used: float
    stopped: bool


async def look(client: Client, worker: str, nanny: bool) -> ProcessSeen | None:
    """See a worker's process, from its nanny if it has one. None if there is none to be seen."""
    found = await client.run(
        _seen_by_nanny if nanny else _seen_by_itself,
        workers=[worker],
        nanny=nanny,
        on_error="ignore",
    )
    return next(iter(found.values()), None)


async def kill(client: Client, worker: str, nanny: bool) -> None:
    """End a worker's process, as kill -9 does if it has a nanny."""
    work = _kill_from_nanny if nanny else _exit
    await client.run(work, workers=[worker], nanny=nanny, on_error="ignore")


def _seen_by_nanny(dask_worker: Any) -> ProcessSeen | None:
    pid = dask_worker.pid  # there is none while another process is started
    return _seen(psutil.Process(pid)) if pid else None


def _seen_by_itself() -> ProcessSeen:
    return _seen(psutil.Process())


def _seen(process: psutil.Process) -> ProcessSeen:
    times = process.cpu_times()
    return ProcessSeen(times.user + times.system, process.status() in _STOPPED)


def _kill_from_nanny(dask_worker: Any) -> None:
    if dask_worker.pid:
        os.kill(dask_worker.pid, signal.SIGKILL)


def _exit() -> None:
    os._exit(1)
