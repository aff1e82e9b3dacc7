"""The ledger of a run that a store has in shards, each of which is a run of its own there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from daskingest.ledger import Ledger, shards_in
from daskingest.shards import shard_run


class Ledgers(Protocol):
    """A store, or several."""

    def ledger(self, run: str) -> Ledger:
        """See `Store.ledger`."""


def in_all_shards(store: Ledgers, run: str) -> Ledger:
    """All ledger entries of a run: those of the run itself, and those of its shards."""
    found = dict(store.ledger(run))
    for each in shard_runs(found, run):
        found |= store.ledger(each)
    return found


def shard_runs(ledger: Ledger, run: str) -> Iterator[str]:
    """What the shards of a run with this ledger are called in the store, if it has several."""
    number = shards_in(ledger, run)
    yield from (shard_run(run, each) for each in range(number) if number > 1)
