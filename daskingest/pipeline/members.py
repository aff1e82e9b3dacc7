"""A cluster's scheduler, and the workers that it has."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from distributed import Client

_ANSWER_SECONDS = 10.0


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


@dataclass(frozen=True, slots=True)
class Seen:
    """A scheduler, by an id that no other has, and its workers by address."""

    scheduler: str
    workers: dict[str, WorkerSeen]


async def look_at(client: Client) -> Seen:
    """The cluster as it is now. Raises OSError if it does not answer."""
    scheduler: Any = client.scheduler
    if scheduler is None:
        raise ConnectionError("the connection to the scheduler is lost")
    async with asyncio.timeout(_ANSWER_SECONDS):
        identity = await scheduler.identity(n_workers=-1)
    return Seen(
        identity["id"],
        {
            address: WorkerSeen(
                frozenset(name for name, count in each["resources"].items() if count),
                each["status"] in ("running", "paused"),
                bool(each["nanny"]),
                each["nthreads"],
            )
            for address, each in identity["workers"].items()
        },
    )


async def count_workers(client: Client, resource: str) -> int:
    """How many workers with the resource the cluster has now."""
    return len(await addresses(client, resource))


async def addresses(client: Client, resource: str) -> list[str]:
    """The workers with the resource that the cluster has now. Raises OSError."""
    workers = (await look_at(client)).workers
    return [address for address, each in workers.items() if resource in each.resources]
