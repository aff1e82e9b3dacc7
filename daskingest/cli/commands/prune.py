"""`prune`: a shorter ledger."""

from __future__ import annotations

from typing import Annotated

from daskingest.cli.output import note
from daskingest.settings import DEFAULT_STORE, Option
from daskingest.shared_options import Store


def prune(
    store: Store = DEFAULT_STORE,
    older_than: Annotated[
        float, Option("Hours since a file was counted completely, at least.", min=0.0)
    ] = 24.0,
) -> None:
    """Shorten the ledger by what was counted completely.

    It removes the batches of whole files. The files themselves, and batches with rejects, are still
    known to be counted. Make sure that no `run-csv` of such a file is running elsewhere. A service
    shortens its own part of the ledger.
    """
    from daskingest.stores import open_store
    from daskingest.stores import prune as pruning

    open_store(store).close()  # it must exist
    with open_store(store, create=True, say=note) as opened:
        removed = pruning.prune(opened, older_than * 3600)
    entries = "entry" if removed == 1 else "entries"
    note(f"{removed:,} {entries} removed")
