"""Counts in columns: what a merge comes to, and in which order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daskingest import packed
from daskingest.counts import Counts
from daskingest.packed import PackedCounts, in_order, merged

ENTITIES = st.lists(
    st.tuples(st.sampled_from(["Ab", "ab", "AB", "é", "𝄞x", "b"]), st.sampled_from("GO")),
    max_size=4,
)
ARTICLE = st.tuples(st.sampled_from("QPR"), ENTITIES, st.sampled_from([None, -3, 0, 600]))
BATCHES = st.lists(st.lists(ARTICLE, max_size=5), max_size=4)


@pytest.mark.parametrize("room", [2**62, 1])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
def test_a_merge_has_one_row_for_each_key_in_order(
    room: int,
    batches: list[list[tuple[str, list[tuple[str, str]], int | None]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where there are so many keys that a number has no room for them."""
    monkeypatch.setattr(packed, "_ROOM", room)
    words, months = Counter[object](), Counter[object]()
    first: dict[object, object] = {}
    parts = []
    for batch in batches:
        counts = Counts()
        for publication, entities, month in batch:
            counts.add_article(publication, entities, month)
        for key, its in counts.publications.items():
            words.update({(key, *each): n for each, n in its.words.items()})
            months.update({(key, *each): n for each, n in its.months.items()})
            for word, label in its.words:
                first.setdefault((key, word), (label, its.spellings[word]))
        parts.append(counts.packed())
    total = merged(parts)
    assert in_order(total) is total
    assert all(in_order(part) in (part, merged([part])) for part in parts)
    found = rows(total, "words")
    assert [row[:2] for row in found] == sorted(row[:2] for row in found)
    assert Counter({(key_of(total, row[0]), *row[1:3]): row[3] for row in found}) == words
    came: dict[object, object] = {}
    for number, word, label, _, spelling in found:
        came.setdefault((key_of(total, number), word), (label, spelling))
    assert came == first
    found = rows(total, "months")
    assert [row[:2] for row in found] == sorted(row[:2] for row in found)
    assert Counter({(key_of(total, row[0]), *row[1:3]): row[3] for row in found}) == months


def rows(counts: PackedCounts, table: str) -> list[tuple[Any, ...]]:
    return [tuple(each.values()) for each in getattr(counts, table).to_pylist()]


def key_of(counts: PackedCounts, number: int) -> str:
    return counts.publications[number].key
