"""What waits in a saver: when it is committed, and how much of it together."""

from __future__ import annotations

import random

import pytest

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.packed import CompressedCounts, PackedCounts, merged
from daskingest.pipeline.dask_settings import saver_memory
from daskingest.pipeline.pending import Pending, most_pending
from daskingest.pipeline.sums import Sum

BATCH = 7_000  # bytes, of a few words


def counts_of(*words: str) -> PackedCounts:
    counts = Counts()
    counts.add_article("P", [(word, "ORG") for word in words])
    return counts.packed()


def add(
    pending: Pending, number: int, counts: PackedCounts, limit: int = 100, now: float = 0
) -> None:
    its = CompressedCounts.of(counts)
    pending.add(BatchId("r", str(number)), its, Counted(), limit, now)


def test_a_flush_is_due_after_its_interval() -> None:
    pending = Pending()
    assert pending.seconds_left(5, now=0) is None
    add(pending, 1, counts_of("a"), now=1)
    add(pending, 2, counts_of("a"), now=4)
    assert pending.seconds_left(5, now=4) == 2


def test_after_a_long_commit_more_is_gathered() -> None:
    pending = Pending()
    add(pending, 1, counts_of("a"))
    pending.remove_first(started=10, seconds=2)
    add(pending, 2, counts_of("a"), now=11)
    assert pending.seconds_left(5, now=12) == 18
    pending.remove_first(started=30, seconds=1_000)
    add(pending, 3, counts_of("a"), now=1_030)
    assert pending.seconds_left(5, now=1_030) == 60
    add(pending, 4, counts_of(*map(str, range(200))), now=1_030)
    assert pending.seconds_left(5, now=1_030) == 0  # it is full


def test_a_flush_takes_as_many_batches_as_fit_when_merged() -> None:
    """Which have many words in common."""
    pending = Pending()
    for number in range(50):
        add(pending, number, counts_of(*"abcdefgh", str(number)), limit=40)
    assert pending.first is not None
    first = pending.first
    assert first.closed
    assert 25 <= len(first.batches) <= 32
    assert first.sum.whole().size == 1 + 8 + len(first.batches) <= 41


def test_half_of_the_memory_closes_a_flush() -> None:
    """The other half can be gathered while it is committed."""
    pending = Pending(most=2 * BATCH)
    for number in range(2):
        add(pending, number, counts_of(*"abcdefgh"), limit=1_000)
    assert pending.first is not None
    assert pending.first.closed
    assert not pending.full


def test_a_saver_that_is_behind_still_gathers() -> None:
    """While one half is committed, what comes after it is one flush, too, however full it is."""
    pending = Pending(most=10 * BATCH)
    number = 0
    sizes = []
    for _ in range(10):
        while not pending.full:
            add(pending, number, counts_of(*"abcdefgh"), limit=1_000)
            number += 1
        assert pending.first is not None
        sizes.append(len(pending.first.batches))
        pending.remove_first(started=0, seconds=1)
    assert min(sizes) >= 5


def test_more_may_wait_where_there_is_memory_and_the_process_may_have_it() -> None:
    gib = 1 << 30
    assert most_pending(free=gib) == most_pending(64 * gib, limit=gib) == 384 << 20
    assert most_pending(free=64 * gib) == 3 * gib
    assert most_pending(64 * gib, limit=4 * gib) == gib
    assert most_pending(4 * gib, limit=4 * gib) == 4 * gib // 6
    assert most_pending(64 * gib, limit=16 * gib) == 3 * gib


def test_what_is_unmerged_keeps_more_from_coming_into_the_same_flush_alone() -> None:
    """What is closed is merged as it is, however much comes for the next one meanwhile."""
    pending = Pending(most=1 << 30)
    counts = CompressedCounts(size=1, nbytes=100 << 20)
    pending.add(BatchId("r", "1"), counts, Counted(), limit=100, now=0)
    assert not pending.has_room
    assert pending.first is not None
    pending.first.closed = True
    assert pending.has_room


def test_savers_of_a_machine_may_have_half_of_its_memory_but_no_less_than_workers() -> None:
    gib = 1 << 30
    assert saver_memory(free=24 * gib) == 12 * gib
    assert saver_memory(free=24 * gib, savers=2) == 6 * gib
    assert saver_memory(free=500 * gib) == 16 * gib
    assert saver_memory(free=24 * gib, savers=4) == saver_memory(free=gib) == 4 * gib


def test_a_saver_that_is_behind_gathers_whatever_sizes_batches_have() -> None:
    """What is left of a half by the one before makes no small commits."""
    source = random.Random(1)
    several = [counts_of(*map(str, range(source.randint(20, 500)))) for _ in range(40)]
    pending, number, sizes = Pending(most=1_000_000), 0, []
    for _ in range(200):
        while not pending.full:
            add(pending, number, source.choice(several), limit=1_000_000)
            number += 1
        assert pending.first is not None
        assert pending.first.closed
        sizes.append(len(pending.first.batches))
        pending.remove_first(started=0, seconds=1)
    assert min(sizes) > 0.5 * max(sizes)


def test_publications_are_measured_too() -> None:
    counts = Counts()
    for number in range(1_000):
        counts.add_article(str(number), [("a", "ORG")], month=number % 7)
    assert 500_000 < counts.packed().nbytes < 1_000_000


def test_what_waits_is_as_much_before_it_is_merged_as_after() -> None:
    """Else what comes during a commit would find less room, or more."""
    pending = Pending(most=1_000_000)
    for number in range(20):
        add(pending, number, counts_of(*map(str, range(300))), limit=1_000_000)
    assert pending.first is not None
    before = pending.first.nbytes
    pending.first.sum.merge_some()
    pending.first.sum.whole()
    assert pending.first.nbytes == before
    pending.remove_first(0, 0)
    assert BatchId("r", "1") not in pending
    assert list(pending) == []
    assert not pending.full


def test_an_add_that_fails_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the ledger afterwards has its counts."""
    pending, counts = Pending(), counts_of("a")
    with monkeypatch.context() as context:
        context.setattr(Sum, "comes", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            add(pending, 1, counts)
    assert BatchId("r", "1") not in pending
    add(pending, 1, counts)
    assert pending.first is not None
    assert list(pending.first.batches) == [BatchId("r", "1")]
    assert pending.first.sum.whole() == merged([counts])


def test_what_waits_is_measured_in_bytes() -> None:
    """Words may be long, and a counter has its months besides."""
    pending, long = Pending(most=1_000_000), counts_of(*(f"{n:0250}" for n in range(1_000)))
    add(pending, 1, long, limit=1_000_000)
    add(pending, 2, long, limit=1_000_000)
    assert pending.first is not None
    assert pending.first.closed
    add(pending, 3, long, limit=1_000_000)
    assert not pending.full
    add(pending, 4, long, limit=1_000_000)
    assert pending.full
