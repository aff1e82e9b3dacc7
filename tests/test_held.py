"""Up to where a run's batches are counted, and which entries the ledger may drop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daskingest.ledger import BatchId, Counted, Ledger, Split
from daskingest.pipeline.held import HeldRun
from daskingest.pipeline.pending import Refusal
from daskingest.stores import Hold


def named(text: str) -> BatchId:
    return BatchId.parse(f"r:{text}")


def held(*counted: str, watermark: int = 0) -> HeldRun:
    ledger: Ledger = {named(each): Counted() for each in counted}
    return HeldRun(Hold("r", 1, "me", watermark), ledger)


def test_it_moves_over_what_is_counted_and_forgotten() -> None:
    run = held("6", "7", "9", watermark=5)
    assert run.next_hold(()).watermark == 5
    run.forget(9)
    moved = run.next_hold(())
    assert (moved.watermark, set(moved.settled)) == (7, {named("6"), named("7")})
    run.moved(moved)
    run.committed({named("8"): Counted(), named("10"): Counted()})
    assert run.next_hold(()).watermark == 9


def test_it_stops_before_what_is_pending() -> None:
    run = held("1", "2", "3", watermark=0)
    run.forget(3)  # of which it believes what its ledger does not have
    other = BatchId("q", "1")
    assert run.next_hold({named("2"), other}).watermark == 1
    assert run.next_hold({named("1.0").whole}).watermark == 0
    assert run.next_hold({other}).watermark == 3


def test_parts_are_counted_when_both_are() -> None:
    run = held("2.0", watermark=1)
    run.committed({named("2"): Split(5), named("2.1"): Split(1), named("2.1.1"): Counted()})
    run.forget(2)
    assert run.next_hold(()).watermark == 1
    run.committed({named("2.1.0"): Counted()})
    assert len(run.next_hold(()).settled) == 5


def test_what_was_refused_is_not_counted() -> None:
    run = held(watermark=1)
    run.committed({named("2"): Refusal.TOO_LARGE})
    run.forget(2)
    assert run.next_hold(()).watermark == 1


def test_a_store_without_a_watermark_is_taken_as_the_spool_knows_it() -> None:
    run = held("42")
    run.forget(41)
    assert run.next_hold(()).watermark == 41
    run.forget(43)
    assert run.next_hold(()).watermark == 42


def test_entries_of_the_run_s_own_are_kept() -> None:
    run = HeldRun(Hold("r", 1, "me", 0), {BatchId.begin("r"): Counted()})
    run.forget(9)
    assert run.next_hold(()).settled == ()


@given(st.permutations(range(1, 9)), st.permutations(range(1, 9)))
def test_in_whatever_order_all_are_settled_once(counted: list[int], forgotten: list[int]) -> None:
    run, left = held(), set(range(1, 9))
    settled: list[BatchId] = []
    run.forget(0)
    for number, gone in zip(counted, forgotten, strict=True):
        run.committed({named(str(number)): Counted()})
        left.discard(gone)
        run.forget(min(left, default=9) - 1)
        moved = run.next_hold(())
        assert all(run.is_settled(each) for each in moved.settled)
        assert moved.watermark <= min(left, default=9) - 1
        run.moved(moved)
        settled += moved.settled
    assert sorted(settled) == [named(str(number)) for number in range(1, 9)]
