"""Connects to a cluster that exists, and sees whether it can count as this machine does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import dask
from distributed import Client

from daskingest.pipeline.dask_settings import DASK_CONFIG, EXTRACT, SAVER, quiet
from daskingest.pipeline.members import addresses, count_workers
from daskingest.pipeline.versions import Versions, differences, versions_here
from daskingest.pipeline.waiting import NotThere


@asynccontextmanager
async def connect(address: str) -> AsyncIterator[Client]:
    """A client of the cluster at an address. Raises NotThere if there is none."""
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


def start_hint(scheduler: str, resource: str) -> str:
    """How to start a worker with the resource, for the scheduler at this address."""
    return f"start one with `dask worker {scheduler} --nthreads 1 --resources {resource}=1`"


async def require_resources(client: Client, address: str) -> None:
    """Raise NotThere, with the command that starts it, if a kind of worker is missing."""
    for resource in (EXTRACT, SAVER):
        if not await count_workers(client, resource):
            raise NotThere(
                f"the cluster has no worker with the resource {resource!r}: "
                f"{start_hint(address, resource)}"
            )


async def differing(client: Client, model: str, expected: Versions) -> list[str]:
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
    with dask.config.set(DASK_CONFIG), quiet():
        async with connect(address) as client:
            await require_resources(client, address)
            return Survey(
                await count_workers(client, EXTRACT),
                await count_workers(client, SAVER),
                await differing(client, model, expected),
            )
