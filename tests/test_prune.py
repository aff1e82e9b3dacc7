"""What pruning takes out of a ledger, and what it must leave."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from daskingest.ledger import BatchId, Begun, Counted, Done, Entry, Ledger, Shards, Split
from daskingest.packed import PackedCounts
from daskingest.stores import Store, open_store
from daskingest.stores.prune import prune
from daskingest.tally import Tally

DAY = 24 * 3600.0
BEGUN = Begun("f", 9, "article", "publication", "m", 1_000, 1)
REJECTED = Counted(Tally(rows=2, articles=1, rejected=Counter({"no content": 1})))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/store.db", create=True) as opened:
        yield opened


def run_of(name: str, ended: Done | None = None) -> Ledger:
    entries: dict[str, Entry] = {
        "begin": BEGUN,
        "1": Counted(Tally(rows=3)),
        "2": Split(1),
        "2.0": Counted(Tally(rows=1)),
        "2.1": REJECTED,
        "3": REJECTED,
        "4": Counted(),
    }
    if ended is not None:
        entries["done"] = ended
    return {BatchId.parse(f"{name}:{key}"): entry for key, entry in entries.items()}


def test_batches_of_runs_that_are_done_are_removed(store: Store) -> None:
    old, new = Done(Tally(), "old", 1.0), Done(Tally(), "new", time.time())
    ledger = run_of("old", old) | run_of("new", new) | run_of("going")
    store.commit(PackedCounts(), ledger)
    assert prune(store, DAY) == 2
    kept = {key: entry for key, entry in ledger.items() if str(key) not in ("old:1", "old:4")}
    found = {**store.ledger("old"), **store.ledger("new"), **store.ledger("going")}
    assert found == kept
    assert store.finished() == {"old": old, "new": new}
    assert prune(store, DAY) == 0


def test_a_run_without_a_time_is_an_old_one(store: Store) -> None:
    store.commit(PackedCounts(), run_of("r", Done(Tally())))
    assert prune(store, DAY) == 2


def test_batches_in_shards_are_removed_too(store: Store) -> None:
    whole: Ledger = {BatchId.begin("r"): BEGUN, BatchId.done("r"): Done(Tally(), "old", 1.0)}
    shards = [{**run_of(f"r~{each}")} for each in range(2)]
    for each in shards:
        each.pop(BatchId.begin(next(iter(each)).run))
    store.commit(PackedCounts(), {BatchId.shards("r"): Shards(2), **whole, **shards[0]})
    store.commit(PackedCounts(), shards[1])
    assert prune(store, DAY) == 4
    assert set(store.ledger("r")) == {*whole, BatchId.shards("r")}
    for number, before in enumerate(shards):
        gone = {BatchId(f"r~{number}", "1"), BatchId(f"r~{number}", "4")}
        assert set(store.ledger(f"r~{number}")) == before.keys() - gone


def test_all_that_are_done_may_be_taken(store: Store) -> None:
    store.commit(PackedCounts(), run_of("r", Done(Tally(), "f", time.time())) | run_of("going"))
    assert prune(store, 0) == 2
    assert store.ledger("going") == run_of("going")
