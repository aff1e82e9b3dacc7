"""`prune`: a shorter ledger."""

from __future__ import annotations

from typing import Annotated

from daskingest.cli.output import note
from daskingest.settings import DEFAULT_STORE, Option, Store


def prune(
    store: Store = DEFAULT_STORE,
    older_than: Annotated[float, Option("Hours that a run must have been done.", min=0.0)] = 24.0,
) -> None:
    """Shorten the ledger: forget the batches of files that were counted whole.

    The files stay known as counted, and so do batches with rejects. Run it when no `run-csv` of
    such a file is going on elsewhere. A service shortens its part of the ledger by itself.
    """
    from daskingest.stores import open_store
    from daskingest.stores import prune as pruning

    open_store(store).close()  # there must be one
    with open_store(store, create=True) as opened:
        removed = pruning.prune(opened, older_than * 3600)
    entries = "entry" if removed == 1 else "entries"
    note(f"{removed:,} {entries} removed")
