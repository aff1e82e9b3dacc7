"""Removes ledger entries that no run needs any more."""

from __future__ import annotations

import time

from daskingest.ledger import BatchId, Counted, Ledger
from daskingest.stores import Store
from daskingest.stores.sharded import shard_runs


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
        ledger = store.ledger(run)
        for each in (run, *shard_runs(ledger, run)):
            gone = _gone(ledger if each == run else store.ledger(each))
            if gone:
                store.forget(gone, store.take_over(each, "prune"))
            removed += len(gone)
    return removed


def _gone(ledger: Ledger) -> list[BatchId]:
    """The entries of a done run that need not be kept."""
    return [
        batch_id
        for batch_id, entry in ledger.items()
        if not batch_id.parts  # parts stay, as does the entry of the batch that was split
        and isinstance(entry, Counted)
        and not entry.tally.rejected
    ]
