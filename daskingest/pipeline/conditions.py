"""Whether the processes of a cluster run as `daskingest scheduler` and `daskingest worker` do.

Counts are the same without that. But a worker may then pause for ever, or threads be idle.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import dask
from distributed import Client

from daskingest.pipeline.dask_settings import DASK_CONFIG, EXTRACT, SAVER
from daskingest.pipeline.members import look_at

_OF_SCHEDULER = (
    "distributed.scheduler.allowed-failures",
    "distributed.admin.low-level-log-length",
)
_OF_WORKERS = (
    "distributed.worker.memory.target",
    "distributed.worker.memory.spill",
    "distributed.worker.memory.pause",
    "distributed.worker.memory.terminate",
    "distributed.worker.profile.enabled",
)
_SHOWN = 3

_told: list[str] = []

log = logging.getLogger(__name__)


async def unlike(client: Client, address: str) -> list[str]:
    """A line for each way in which the cluster at this address runs otherwise, and what to do."""
    lines = []
    theirs = await client.run_on_scheduler(_settings, _OF_SCHEDULER)
    if wrong := ", ".join(_differing(theirs)):
        lines.append(
            f"the scheduler runs with other settings of Dask: {wrong}; start it with `daskingest "
            "scheduler`, or with cluster/dask.yaml in ~/.config/dask there"
        )
    for kind in (EXTRACT, SAVER):
        workers = (await look_at(client)).workers
        seen = {where: each for where, each in workers.items() if kind in each.resources}
        found = defaultdict(list)
        settings = await client.run(_settings, _OF_WORKERS, workers=list(seen), on_error="ignore")
        for worker, each in sorted(seen.items()):
            if each.threads != 1:
                found[f"{each.threads} threads, of which one is used"].append(worker)
            if wrong := ", ".join(_differing(settings.get(worker, {}))):
                found[f"other settings of Dask: {wrong}"].append(worker)
        lines += [
            f"{several(those)}: {what}; start workers with `daskingest worker {address} "
            f"--for {kind}`"
            for what, those in found.items()
        ]
    return lines


def tell(lines: list[str]) -> None:
    """Log them, but those that were told the last time: a service connects again and again."""
    for each in lines:
        if each not in _told:
            log.warning("%s", each)
    _told[:] = lines


def several(workers: list[str]) -> str:
    """The workers, in few words."""
    more = len(workers) - _SHOWN
    return ", ".join(workers[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _settings(names: Iterable[str]) -> dict[str, Any]:
    """Those of the process that this is called in."""
    return {name: dask.config.get(name, None) for name in names}


def _differing(theirs: dict[str, Any]) -> Iterator[str]:
    for name, value in theirs.items():
        if value != DASK_CONFIG[name]:
            yield f"{name} is {value}, not {DASK_CONFIG[name]}"
