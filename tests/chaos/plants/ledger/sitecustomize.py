"""A planted fault: what the ledger has already is counted again."""

from collections.abc import Collection, Mapping

from daskingest.ledger import BatchId, Counted, Entry, Ledger, Split
from daskingest.packed import PackedCounts
from daskingest.stores import Hold
from daskingest.stores.sqlite import SqliteStore

_commit, _ledger = SqliteStore.commit, SqliteStore.ledger


def _commit_again(
    self: SqliteStore,
    counts: PackedCounts,
    entries: Mapping[BatchId, Entry],
    holds: Collection[Hold] = (),
) -> int:
    """As if AlreadyCommitted was not raised."""
    with self._transaction() as db:
        ids = ((str(each),) for each in entries)
        db.executemany("DELETE FROM ledger WHERE batch_id = ?", ids)
    return _commit(self, counts, entries, holds)


def _without_batches(self: SqliteStore, run: str) -> Ledger:
    """As if batches were not dropped that are counted."""
    found = _ledger(self, run)
    return {key: each for key, each in found.items() if not isinstance(each, Counted | Split)}


SqliteStore.commit = _commit_again  # type: ignore[method-assign]
SqliteStore.ledger = _without_batches  # type: ignore[method-assign]
