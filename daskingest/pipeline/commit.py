"""One commit of a saver: skips what the ledger already has, and halves what is too large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Entry
from daskingest.pipeline.pending import Flush
from daskingest.stores import AlreadyCommitted, Store, TooLarge

Batches = Mapping[BatchId, tuple[Counts, Entry]]


@dataclass(slots=True)
class Committed:
    """How much was written, and the batches' entries as the ledger has them; None for a batch that
    is too large for the store.
    """

    writes: int = 0
    entries: dict[BatchId, Entry | None] = field(default_factory=dict)


def commit(flush: Flush, store: Store) -> Committed:
    """Write those of a flush's batches that the ledger does not have. Raises StoreError.

    May be called again after an error, or if the outcome of an earlier call is unknown.
    """
    committed = Committed()
    _commit(flush.batches, flush.merged, store, committed)
    return committed


def _commit(batches: Batches, merged: Counts, store: Store, committed: Committed) -> None:
    entries = {batch_id: entry for batch_id, (_, entry) in batches.items()}
    while entries:
        try:
            committed.writes += store.commit(merged, entries)
        except AlreadyCommitted:
            known = store.ledger_entries(list(entries))
            committed.entries |= known
            entries = {each: entry for each, entry in entries.items() if each not in known}
            merged = _merged(batches, entries)
        except TooLarge:
            _commit_halves(batches, list(entries), store, committed)
            return
        else:
            committed.entries |= entries
            return


def _commit_halves(
    batches: Batches, ids: list[BatchId], store: Store, committed: Committed
) -> None:
    """Commit batches that are too large for one commit in two halves; refuse a single batch."""
    if len(ids) == 1:
        committed.entries[ids[0]] = None
        return
    middle = len(ids) // 2
    for half in (ids[:middle], ids[middle:]):
        mine = {batch_id: batches[batch_id] for batch_id in half}
        _commit(mine, _merged(mine, half), store, committed)


def _merged(batches: Batches, ids: list[BatchId] | dict[BatchId, Entry]) -> Counts:
    merged = Counts()
    for batch_id in ids:
        merged.merge(batches[batch_id][0])
    return merged
