"""Whether the saver's worker sees the file that the driver means by an SQLite store."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from distributed import Client

from daskingest.errors import StoreError, UsageError
from daskingest.pipeline.dask_settings import SAVER
from daskingest.pipeline.members import addresses
from daskingest.pipeline.waiting import SchedulerLost

_SQLITE = "sqlite:///"


async def require_one_store(client: Client, url: str, savers: Sequence[str] = ()) -> None:
    """Raise UsageError if a worker for the saver would write to another file than the one here.

    `savers` are their addresses; without them, all there are now.

    What is written beside the store here must be seen there: that tells machines and containers
    that share a folder from those that don't, whatever they are called. `url` is absolute; of a
    store that is no file nothing is asked.
    """
    if not url.startswith(_SQLITE):
        return
    store, mark = Path(url.removeprefix(_SQLITE)), secrets.token_hex(16)
    place = store.with_name(f".{store.name}-{mark[:8]}")
    asked = savers or await addresses(client, SAVER)
    try:
        place.write_text(mark)
        answers = await _answers(client, place, asked)
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


async def _answers(client: Client, place: Path, workers: Sequence[str]) -> dict[str, object]:
    try:
        found: dict[str, object] = await client.run(
            _read, str(place), workers=list(workers), on_error="return"
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
