"""The sum of batches' counts: the same in parts as at once, whatever fails."""

from __future__ import annotations

import random

import pytest

from daskingest.counts import Counts
from daskingest.packed import CompressedCounts, PackedCounts, merged
from daskingest.pipeline import sums as module
from daskingest.pipeline.sums import Sum, sums


def counts_of(*words: str) -> PackedCounts:
    counts = Counts()
    counts.add_article("P", [(word, "ORG") for word in words], month=len(words[0]))
    return counts.packed()


def test_what_is_merged_in_parts_is_what_is_merged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is merged while more comes."""
    monkeypatch.setattr(module, "_TOGETHER", 20_000)
    source = random.Random(1)
    several = [counts_of(*(str(source.randrange(300)) for _ in range(50))) for _ in range(60)]
    compressed = [CompressedCounts.of(each) for each in several]
    assert [each.decompressed() for each in compressed] == several
    whole, mine, times = merged(several), Sum(), 0
    for counts in compressed:
        mine.add(counts)
        if mine.is_to_merge():
            mine.merge()
            times += 1
            assert not mine.is_to_merge()
    assert 5 < times < 30
    assert mine.merged() == whole
    assert mine.merged() is mine.merged()
    assert 5 < len(parts := list(sums(compressed))) < 30
    assert merged(parts) == whole


@pytest.mark.parametrize("name", ["merge", "merged"])
def test_a_merge_that_fails_loses_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    mine, calls = Sum(), 0
    for _ in range(4):
        mine.add(CompressedCounts.of(counts_of("a")))

    def fail_at_second(parts: list[PackedCounts]) -> PackedCounts:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise MemoryError
        return merged(parts)

    monkeypatch.setattr(module, "_TOGETHER", 1)
    monkeypatch.setattr(module, "merged", fail_at_second)
    with pytest.raises(MemoryError):
        getattr(mine, name)()
    assert mine.merged() == merged([counts_of("a")] * 4)


def test_what_is_not_merged_yet_is_measured_too() -> None:
    mine = Sum()
    mine.add(its := CompressedCounts.of(counts_of(*map(str, range(100)))))
    assert mine.nbytes == len(its.data) + its.decompressed_nbytes
    mine.merge()
    assert 2 * len(its.data) <= mine.nbytes < 3 * len(its.data)
    assert mine.nbytes < len(its.data) + mine.merged().nbytes + 1
