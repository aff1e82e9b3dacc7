"""Whether the saver's worker writes to the store that the driver means by a URL."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from distributed import Client

from daskingest.errors import StoreError, UsageError
from daskingest.pipeline.dask_settings import SAVER
from daskingest.pipeline.members import addresses
from daskingest.pipeline.waiting import SchedulerLost
from daskingest.stores import open_store
from daskingest.stores.urls import POSTGRESQL, shown_url

_SQLITE = "sqlite:///"

Found = tuple[str, str]
"""What a worker found at a URL: a store's identity, or why it can't be used."""


async def require_one_store(client: Client, url: str, savers: Sequence[str] = ()) -> None:
    """Raise UsageError if a worker for the saver would write to another store than the one here.

    `savers` are their addresses; without them, all there are now. `url` is absolute. Raises
    StoreError if it can't be known now.
    """
    if url.startswith(_SQLITE):
        await _require_one_file(client, url, savers)
    elif url.startswith(POSTGRESQL):
        await _require_one_database(client, url, savers)


async def _require_one_database(client: Client, url: str, savers: Sequence[str]) -> None:
    """A name such as localhost may mean another server there. A saver that has started and can't
    reach it waits for it."""
    here, why = await asyncio.to_thread(_found, url)
    if why:
        raise StoreError(why)
    answers = await _answers(client, _found, url, savers or await _all_savers(client))
    if told := strayed(here, answers, started=bool(savers)):
        raise UsageError(
            f"the saver's worker does not use the store {shown_url(url)} of this machine: {told}; "
            "name a host by which all machines know it, and a user who may write from there"
        )


def strayed(here: str, answers: Mapping[str, object], started: bool) -> str:
    """Which workers found another store than the one here, or, unless they are `started`, none.

    Of one that is gone nothing is known.
    """
    told = []
    for address, answer in sorted(answers.items()):
        if isinstance(answer, tuple):
            identity, why = answer
            if identity and identity != here:
                told.append(f"{address} reaches another one")
            elif not identity and not started:
                told.append(f"at {address}, {why}")
        elif not isinstance(answer, OSError):
            told.append(f"at {address}, {type(answer).__name__}")
    return "; ".join(told)


def _found(url: str) -> Found:
    """What a worker finds there. Raises nothing: Dask would log the URL, and so its password."""
    try:
        with open_store(url, create=True) as store:
            from daskingest.stores.postgresql import PostgresqlStore

            assert isinstance(store, PostgresqlStore)
            return store.identity(), ""
    except Exception as error:
        return "", str(error) or type(error).__name__


async def _require_one_file(client: Client, url: str, savers: Sequence[str]) -> None:
    """What is written beside the store here must be seen there: that tells machines and containers
    that share a folder from those that don't, whatever they are called."""
    store, mark = Path(url.removeprefix(_SQLITE)), secrets.token_hex(16)
    place = store.with_name(f".{store.name}-{mark[:8]}")
    asked = savers or await _all_savers(client)
    try:
        place.write_text(mark)
        answers = await _answers(client, _read, str(place), asked)
    except OSError as error:
        raise StoreError(
            f"cannot write to the folder of the store {store}: {error.strerror}"
        ) from None
    finally:
        place.unlink(missing_ok=True)
    if elsewhere := blind(answers, mark):
        raise UsageError(
            f"{url} is a file on this machine, and the saver's worker at {', '.join(elsewhere)} "
            f"does not see it: start the worker with the resource {SAVER!r} on this machine or "
            "give it this folder under the same path (if this is where counts for a firestore:// "
            "store wait, name a file that both see with --staging)"
        )


async def _all_savers(client: Client) -> list[str]:
    try:
        return await addresses(client, SAVER)
    except OSError:
        raise SchedulerLost from None


async def _answers(
    client: Client, ask: Callable[[str], object], value: str, workers: Sequence[str]
) -> dict[str, object]:
    try:
        found: dict[str, object] = await client.run(
            ask, value, workers=list(workers), on_error="return"
        )
    except OSError:
        raise SchedulerLost() from None
    return found


def blind(answers: Mapping[str, object], mark: str) -> list[str]:
    """The workers that did not read the mark. Of one that is gone nothing is known."""
    return sorted(
        address
        for address, answer in answers.items()
        if answer != mark and not isinstance(answer, OSError)
    )


def _read(path: str) -> str:
    """What a worker sees there."""
    try:
        return Path(path).read_text()
    except OSError as error:
        return str(error)
