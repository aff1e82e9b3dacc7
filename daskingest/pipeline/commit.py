"""One commit of a saver: what the ledger has already is left out, what is too large is halved."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Entry
from daskingest.pipeline.pending import Flush
from daskingest.stores import AlreadyCommitted, Hold, Store, TooLarge

Batches = Mapping[BatchId, tuple[Counts, Entry]]


@dataclass(slots=True)
class Committed:
    """How much was written, and the batches' entries as the ledger has them: None for one that is
    too large for the store.
    """

    holds: Collection[Hold]
    commits: int = 0
    """How many were made; each has moved the watermarks."""
    writes: int = 0
    entries: dict[BatchId, Entry | None] = field(default_factory=dict)


def commit(flush: Flush, holds: Collection[Hold], store: Store) -> Committed:
    """Write those of a flush's batches that the ledger does not have, as the runs are held.

    Raises Replaced and StoreError. May be called again after an error, and when it is not known
    what became of a call.
    """
    committed = Committed(holds)
    _commit(flush.batches, flush.merged, store, committed)
    return committed


def _commit(batches: Batches, merged: Counts, store: Store, committed: Committed) -> None:
    entries = {batch_id: entry for batch_id, (_, entry) in batches.items()}
    while entries:
        try:
            committed.writes += store.commit(merged, entries, committed.holds)
        except AlreadyCommitted:
            known = store.ledger_entries(list(entries))
            committed.entries |= known
            entries = {each: entry for each, entry in entries.items() if each not in known}
            merged = _merged(batches, entries)
        except TooLarge:
            _commit_halves(batches, list(entries), store, committed)
            return
        else:
            committed.commits += 1
            committed.entries |= entries
            return


def _commit_halves(
    batches: Batches, ids: list[BatchId], store: Store, committed: Committed
) -> None:
    """Where all are too large for one commit, they go in two; one that is by itself is refused."""
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
