"""What the processes of a cluster must agree on."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import dask
import distributed.utils
from dask.utils import parse_bytes

from daskingest.pipeline import template
from daskingest.pipeline.steady import steady

EXTRACT, SAVER = "extract", "saver"
"""The resources that say what a worker is for."""

WORKER_MEMORY = "4 GiB"
"""Memory limit of a worker. It takes about 0.5 GiB, and up to 3 more for a million characters."""

_MOST_SAVER_MEMORY = 16 << 30  # bytes; from 12 GiB on no more may wait in it

GC_THRESHOLD = 50_000
"""New objects before a worker looks for garbage among them. A batch makes tens of thousands of
entities and counters, and a commit as many values, none of them garbage: by default that was half a
percent of the one and five of the other.
"""

REFUSED = "refused: "
"""What the reason for a worker's end begins with, if a driver refused it."""

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
    "distributed.admin.system-monitor.disk": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.comm.timeouts.connect": "10s",
    "distributed.worker.profile.enabled": False,
    # Dask would keep the last thousand messages to each worker, with the articles in them.
    "distributed.admin.low-level-log-length": 1,
    # Wait for a worker to come back, however long it takes.
    "distributed.deploy.lost-worker-timeout": "365 days",
    "distributed.nanny.pre-spawn-environ": template.ENVIRONMENT,
}
"""What a cluster's processes must agree on; `cluster/dask.yaml` says the same."""

_LOGGERS = ("distributed", "distributed.client")  # to which Dask gives levels of their own


def saver_memory(free: int, savers: int = 1) -> int:
    """The memory limit of each saver of a machine with so much free memory, in bytes: half of it
    for all of them, as what they gather makes their commits cheap, but no less than a worker has,
    and no more than a saver has a use for."""
    return max(int(parse_bytes(WORKER_MEMORY)), min(free // (2 * savers), _MOST_SAVER_MEMORY))


@contextlib.contextmanager
def in_force() -> Iterator[None]:
    """These settings, a steady clock, and no messages of Dask's about its processes: the driver
    reports what matters.
    """
    steady()
    with dask.config.set(DASK_CONFIG), _quiet():
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    key = "distributed.nanny.pre-spawn-environ"
    environment = {**dask.config.get(key), **template.QUIET}
    try:
        with dask.config.set({key: environment}):
            yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


@contextlib.contextmanager
def forking(forks: bool) -> Iterator[None]:
    """Have Dask start its processes as forks of the template, if there is one."""
    # Else Dask would import pandas here, for its own template to have it.
    vars(distributed.utils)["_forkserver_preload_set"] = True
    method = "forkserver" if forks else "spawn"
    with dask.config.set({"distributed.worker.multiprocessing-method": method}):
        yield
