"""Whether the workers of a cluster see the files that the driver means."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distributed import Client

from daskingest.errors import DaskingestError, UsageError
from daskingest.pipeline.conditions import several
from daskingest.pipeline.dask_settings import EXTRACT
from daskingest.pipeline.members import addresses
from daskingest.pipeline.waiting import SchedulerLost
from daskingest.sources.origin import Origin

_SAMPLED = 16
"""Files of which samples of the content are compared, of all others the size. Each range's checksum
is compared when it is read."""

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it is here. Without a fingerprint only its size is known."""

    path: str
    size: int
    fingerprint: str = ""


async def require_same_files(client: Client, origins: Sequence[Origin]) -> None:
    """Raise UsageError, which names them, if workers don't see what is read here.

    Files that only this process reads are left out. One that has grown meanwhile is the same.
    Raises SchedulerLost.
    """
    seen = await asyncio.to_thread(see, [each for each in origins if not each.packed])
    if not seen:
        return
    try:
        workers = await addresses(client, EXTRACT)
        answers = await client.run(_look, seen, workers=workers, on_error="return")
    except OSError:
        raise SchedulerLost from None
    if lines := differing(answers):
        raise UsageError(
            "\n  ".join(
                [
                    "these workers do not see what this machine reads; share its folder with them "
                    "under the same path, or put it where all can read it (s3://...):",
                    *lines,
                ]
            )
        )


def see(origins: Sequence[Origin]) -> list[Seen]:
    """What is to be compared of these files."""
    step = max(1, len(origins) // _SAMPLED)
    return [
        Seen(each.path, each.size, "" if n % step else each.fingerprint(each.size))
        for n, each in enumerate(origins)
    ]


def differing(answers: Mapping[str, object]) -> list[str]:
    """A line for each thing that is wrong, with the workers that said it. Of one that is gone
    nothing is known."""
    found = defaultdict(list)
    for worker, answer in sorted(answers.items()):
        if answer and not isinstance(answer, OSError):
            found[str(answer)].append(worker)
    return [f"{several(workers)}: {what}" for what, workers in found.items()]


async def _look(seen: Sequence[Seen]) -> str:
    """What is wrong with the first file that differs on this worker; empty if none does."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await asyncio.to_thread(first_that_differs, seen)
    except TimeoutError:
        return f"reading took longer than {_PATIENCE:.0f} seconds"


def first_that_differs(seen: Sequence[Seen]) -> str:
    """What is wrong with it; empty if all are the same here."""
    for each in seen:
        try:
            here = Origin(each.path, each.size)
            size = here.size_now()
            if size < each.size:
                return f"{each.path} has {size:,} bytes there, and {each.size:,} here"
            if each.fingerprint and here.fingerprint(each.size) != each.fingerprint:
                return f"{each.path} has other content there"
        except DaskingestError as error:
            cause = error.__cause__
            return f"{each.path}: {getattr(cause, 'strerror', None) or cause or error}"
        except Exception as error:  # such as a package that fsspec lacks there
            return f"{each.path}: {error}"
    return ""
