"""Connects to a cluster that exists, and sees whether it can count as this machine does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from distributed import Client

from daskingest.errors import UsageError
from daskingest.pipeline.conditions import unlike
from daskingest.pipeline.dask_settings import EXTRACT, SAVER, in_force
from daskingest.pipeline.members import addresses, count_workers
from daskingest.pipeline.reaching import why_unreached
from daskingest.pipeline.tls import NO_TLS, Tls
from daskingest.pipeline.versions import Versions, differences, versions_here
from daskingest.pipeline.waiting import NotThere


@asynccontextmanager
async def connect(address: str, tls: Tls) -> AsyncIterator[Client]:
    """A client of the cluster at an address. Raises NotThere if there is none, and UsageError if
    the certificates cannot be used.
    """
    security = tls.security(address, "client")
    try:
        client = await Client(address, asynchronous=True, timeout="10s", security=security)
    except (OSError, ValueError, TypeError) as error:
        said = str(error) or type(error).__name__
        reason = await asyncio.to_thread(why_unreached, address, security, said)
        raise NotThere(f"no Dask scheduler at {address}: {reason}") from None
    async with client:
        yield client


def start_hint(scheduler: str, resource: str) -> str:
    """How to start a worker with the resource, for the scheduler at this address."""
    return f"start one with `daskingest worker {scheduler} --for {resource}`"


async def require_resources(client: Client, address: str) -> None:
    """Raise NotThere, with the command that starts it, if a kind of worker is missing."""
    for resource in (EXTRACT, SAVER):
        if not await count_workers(client, resource):
            raise NotThere(
                f"the cluster has no worker with the resource {resource!r}: "
                f"{start_hint(address, resource)}"
            )


async def require_same(client: Client, model: str, expected: Versions) -> None:
    """Raise UsageError, with a line for each, if some would count with something else."""
    if lines := await differing(client, model, expected):
        raise UsageError(
            "\n  ".join(["these workers would not count as this machine does:", *lines])
        )


async def differing(client: Client, model: str, expected: Versions) -> list[str]:
    """A line for each worker that would count with something else, and for such a scheduler."""
    scheduler: Any = client.scheduler
    packages = (await scheduler.versions())["packages"]
    theirs = replace(expected, dask=packages["dask"], distributed=packages["distributed"])
    lines = [f"the scheduler: {each}" for each in differences(theirs, expected)]
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
    """How many workers of each kind a cluster has, a line for each that would be refused, and one
    for each way in which it runs otherwise than daskingest's own."""

    extract: int
    saver: int
    refused: list[str]
    unlike: list[str]


async def survey(address: str, model: str, tls: Tls = NO_TLS) -> Survey:
    """What the cluster at an address has for counting with a model.

    Raises UsageError if it cannot be used.
    """
    expected = versions_here(model)
    with in_force():
        async with connect(address, tls) as client:
            await require_resources(client, address)
            return Survey(
                await count_workers(client, EXTRACT),
                await count_workers(client, SAVER),
                await differing(client, model, expected),
                await unlike(client, address),
            )
