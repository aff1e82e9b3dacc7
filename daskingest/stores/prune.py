"""Removes ledger entries that no run needs any more."""

from __future__ import annotations

import time

from daskingest.ledger import Counted
from daskingest.stores import Store


def prune(store: Store, older_than: float) -> int:
    """Remove the batches of runs that have been done for `older_than` seconds.

    That a run is done stays known, so its file is not counted again, and so do batches with
    rejects, which a repeated run looks up. A run is taken over first: what a saver that was given
    up long ago may still have on its way is refused. Raises StoreError.
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
        if gone:
            store.forget(gone, store.take_over(run, "prune"))
        removed += len(gone)
    return removed
