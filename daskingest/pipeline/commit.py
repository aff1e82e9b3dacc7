"""One commit of a saver: what the ledger has already is left out, what is refused is halved.

So a batch that the store will never take, whatever the reason, keeps no other one waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field

from daskingest.ledger import BatchId, Entry
from daskingest.packed import PackedCounts
from daskingest.pipeline.pending import Flush, Refusal
from daskingest.pipeline.sums import Batches, sum_of
from daskingest.stores import AlreadyCommitted, Hold, Invalid, Store, TooLarge

_TRIES = 3  # of a batch alone, before it is taken to be invalid

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Committed:
    """How much was written, and the batches' entries as the ledger has them, or why it hasn't."""

    holds: Collection[Hold]
    commits: int = 0
    """How many were made; each has moved the watermarks."""
    writes: int = 0
    entries: dict[BatchId, Entry | Refusal] = field(default_factory=dict)


def commit(flush: Flush, holds: Collection[Hold], store: Store) -> Committed:
    """Write those of a flush's batches that the ledger does not have, as the runs are held.

    Raises Replaced and StoreError. May be called again after an error, and when it is not known
    what became of a call.
    """
    committed = Committed(holds)
    _commit(flush.batches, flush.sum.whole(), store, committed)
    return committed


def _commit(batches: Batches, counts: PackedCounts, store: Store, committed: Committed) -> None:
    entries = {batch_id: entry for batch_id, (_, entry) in batches.items()}
    tries = 0
    while entries:
        try:
            committed.writes += store.commit(counts, entries, committed.holds)
        except AlreadyCommitted:
            known = store.ledger_entries(list(entries))
            committed.entries |= known
            entries = {each: entry for each, entry in entries.items() if each not in known}
            counts = _merged(batches, entries)
        except TooLarge:
            _commit_halves(batches, list(entries), store, committed)
            return
        except Invalid as error:
            if len(entries) > 1:
                _commit_halves(batches, list(entries), store, committed)
                return
            tries += 1
            _check_store(store, counts, error, committed.holds)
            if tries == _TRIES:
                [alone] = entries
                log.warning("batch %s: %s", alone, error)
                committed.entries[alone] = Refusal.INVALID
                return
        else:
            committed.commits += 1
            committed.entries |= entries
            return


def _commit_halves(
    batches: Batches, ids: list[BatchId], store: Store, committed: Committed
) -> None:
    """What is refused goes in two; a batch that is too large by itself is told of."""
    if len(ids) == 1:
        committed.entries[ids[0]] = Refusal.TOO_LARGE
        return
    middle = len(ids) // 2
    for half in (ids[:middle], ids[middle:]):
        mine = {batch_id: batches[batch_id] for batch_id in half}
        _commit(mine, _merged(mine, half), store, committed)


def _check_store(
    store: Store, refused: PackedCounts, error: Invalid, holds: Collection[Hold]
) -> None:
    """Raise StoreError unless it is these counts that the store does not take.

    It is not them if there are none, or if the store does not take a commit of nothing either.
    """
    if not refused.publications:
        raise error
    store.commit(PackedCounts(), {}, holds)


def _merged(batches: Batches, ids: list[BatchId] | dict[BatchId, Entry]) -> PackedCounts:
    return sum_of(batches[batch_id][0] for batch_id in ids)
