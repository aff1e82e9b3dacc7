"""Removes ledger entries that no run needs any more."""

from __future__ import annotations

import time

from daskingest.ledger import Counted
from daskingest.stores import Store


def prune(store: Store, older_than: float) -> int:
    """Remove the batches of runs that have been done for `older_than` seconds.

    Returns the number of entries removed. The entry of the run itself stays, so its file is not
    counted again; so do batches with rejects, which a repeated run looks up. Only for runs that no
    process works on any more: if a batch is forgotten and then committed, it counts twice. Raises
    StoreError.
    """
    removed = 0
    for run, done in store.finished().items():
        if time.time() - done.at < older_than:
            continue
        gone = [
            batch_id
            for batch_id, entry in store.ledger(run).items()
            if not batch_id.parts  # parts stay, as does the entry of the batch that was split
            and isinstance(entry, Counted)
            and not entry.tally.rejected
        ]
        store.forget(gone)
        removed += len(gone)
    return removed
