"""The workers that a cluster has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distributed import Client


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker as the scheduler knows it.

    `running`: it can be given tasks. `nanny`: its process has another that starts it anew.
    `threads`: those for tasks.
    """

    resources: frozenset[str]
    running: bool
    nanny: bool
    threads: int = 1


async def workers_of(client: Client) -> dict[str, WorkerSeen]:
    """The workers that the cluster has now, by address. Raises OSError."""
    scheduler: Any = client.scheduler
    if scheduler is None:
        raise ConnectionError("the connection to the scheduler is lost")
    identity = await scheduler.identity(n_workers=-1)
    return {
        address: WorkerSeen(
            frozenset(name for name, count in each["resources"].items() if count),
            each["status"] in ("running", "paused"),
            bool(each["nanny"]),
            each["nthreads"],
        )
        for address, each in identity["workers"].items()
    }


async def count_workers(client: Client, resource: str) -> int:
    """How many workers with the resource the cluster has now."""
    return len(await addresses(client, resource))


async def addresses(client: Client, resource: str) -> list[str]:
    """The workers with the resource that the cluster has now. Raises OSError."""
    workers = await workers_of(client)
    return [address for address, each in workers.items() if resource in each.resources]
