"""Take out of a store's ledger what no run needs any more."""

from __future__ import annotations

import time

from daskingest.ledger import Counted
from daskingest.stores import Store


def prune(store: Store, older_than: float) -> int:
    """Remove the batches of runs that were done so many seconds ago. Returns how many entries.

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
            if not batch_id.parts  # a part: its batch was split, and stays
            and isinstance(entry, Counted)
            and not entry.tally.rejected
        ]
        if gone:
            store.forget(gone, store.take_over(run, "prune"))
        removed += len(gone)
    return removed
