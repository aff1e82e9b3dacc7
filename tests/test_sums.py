"""The sum of batches' counts: the same in parts as at once, whatever fails."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.packed import CompressedCounts, PackedCounts, merged
from daskingest.pipeline import sums as module
from daskingest.pipeline.pending import Flush
from daskingest.pipeline.sums import in_parts


def counts_of(*words: str) -> PackedCounts:
    counts = Counts()
    counts.add_article("P", [(word, "ORG") for word in words], month=len(words[0]))
    return counts.packed()


def add(flush: Flush, number: int, counts: PackedCounts) -> None:
    its = CompressedCounts.of(counts)
    flush.add(BatchId("r", str(number)), its, Counted(), 1_000_000)


def test_what_is_merged_in_parts_is_what_is_merged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is merged while more comes."""
    monkeypatch.setattr(module, "_TOGETHER", 20_000)
    source = random.Random(1)
    several = [counts_of(*(str(source.randrange(300)) for _ in range(50))) for _ in range(60)]
    compressed = [CompressedCounts.of(each) for each in several]
    assert [each.decompressed() for each in compressed] == several
    whole, flush, times = merged(several), Flush(0), 0
    for number, counts in enumerate(several):
        add(flush, number, counts)
        if flush.sum.take_turn():
            flush.sum.merge_some()
            times += 1
            assert not flush.sum.take_turn()
    assert 5 < times < 30
    assert flush.sum.whole() == whole
    assert flush.sum.whole() is flush.sum.whole()
    assert 5 < len(parts := list(in_parts(compressed))) < 30
    assert merged(parts) == whole


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("of", ["merged", "_Sums", "CompressedCounts.decompressed"])
@pytest.mark.parametrize("name", ["merge_some", "whole"])
def test_a_merge_that_fails_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str, of: str, fails_at: int
) -> None:
    """Wherever it is that memory is missing: nothing is lost, or counted twice."""
    flush = Flush(0)
    for number in range(4):
        add(flush, number, counts_of("a"))
    monkeypatch.setattr(module, "_TOGETHER", 1)
    flush.sum.merge_some()
    for number in range(4, 8):
        add(flush, number, counts_of("a", "b"))
    with monkeypatch.context() as context:
        place, called = (module, of) if "." not in of else (CompressedCounts, of.split(".")[1])
        context.setattr(place, called, failing(getattr(place, called), fails_at))
        with contextlib.suppress(MemoryError):
            getattr(flush.sum, name)()
    assert flush.sum.whole() == merged([counts_of("a")] * 4 + [counts_of("a", "b")] * 4)


def failing(real: Callable[..., object], at: int) -> Callable[..., object]:
    """The same, but for a call."""
    calls = 0

    def call(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == at:
            raise MemoryError
        return real(*args)

    return call


def test_no_more_than_was_said_is_in_memory() -> None:
    """Also where words are alike, so that compressed they take little."""
    flush, number = Flush(0), 0
    for turn in range(30):
        add(
            flush,
            turn,
            counts_of(*(f"a long common beginning {number + i:08d}" for i in range(500))),
        )
        number += 500
        if turn % 10 == 9:
            flush.sum.merge_some()
    said, decompressed = flush.nbytes, flush.sum.nbytes
    assert flush.sum.whole().nbytes <= decompressed <= said < 2 * decompressed
