"""Counts in columns: what a merge comes to, and in which order."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from daskingest.articles import publication_key
from daskingest.counts import Counts
from daskingest.packed import PackedCounts, PublicationCounts, merged, pack
from daskingest.spelling import spelling_of

WORDS = st.sampled_from(["Ab", "ab", "AB", "é", "ê", "𝄞x", "\uffff", "b"]) | st.text(
    "ab", min_size=1, max_size=5
)
ENTITIES = st.lists(st.tuples(WORDS, st.sampled_from("GOP")), max_size=6)
ARTICLE = st.tuples(st.sampled_from("QPR"), ENTITIES, st.sampled_from([None, -3, 0, 600]))
BATCHES = st.lists(st.lists(ARTICLE, max_size=5), max_size=7)

NAMES = st.sampled_from(
    ["İzmir", "ΟΔΟΣ", "École", "ecole", "A" * 70, "a" * 70, "US", "Us", "ß", ""]
)
NAMED = st.lists(st.tuples(WORDS | NAMES, st.sampled_from("GOP")), max_size=12)
PUBLICATIONS = st.sampled_from(["Q", "q ", "P", "É"])
BATCH = st.lists(st.tuples(PUBLICATIONS, NAMED, st.sampled_from([None, -3, 0, 600])), max_size=8)


def one_by_one(
    batch: list[tuple[str, list[tuple[str, str]], int | None]],
) -> dict[str, PublicationCounts]:
    found: dict[str, PublicationCounts] = {}
    for publication, entities, month in batch:
        key = publication_key(publication)
        mine = found.setdefault(key, PublicationCounts(publication))
        mine.articles += 1
        mine.article_months.update([] if month is None else [month])
        for name, label in entities:
            word = name.lower()
            mine.words[word, label] += 1
            mine.spellings.setdefault(word, spelling_of(name, word))
            if month is not None:
                mine.months[word, month] += 1
    return found


@given(BATCH)
def test_a_batch_is_what_counting_one_by_one_comes_to(
    batch: list[tuple[str, list[tuple[str, str]], int | None]],
) -> None:
    counts = Counts()
    for article in batch:
        counts.add_article(*article)
    assert counts.packed() == pack(one_by_one(batch))


@settings(deadline=None)  # the first merge compiles
@given(batches=BATCHES)
def test_a_merge_has_one_row_for_each_key_in_order(
    batches: list[list[tuple[str, list[tuple[str, str]], int | None]]],
) -> None:
    words, months = Counter[object](), Counter[object]()
    first = dict[object, tuple[str, int]]()
    parts = []
    for batch in batches:
        counts = Counts()
        for publication, entities, month in batch:
            counts.add_article(publication, entities, month)
        for key, its in one_by_one(batch).items():
            words.update({(key, *each): n for each, n in its.words.items()})
            months.update({(key, *each): n for each, n in its.months.items()})
            for word, label in its.words:
                first.setdefault((key, word), (label, its.spellings[word]))
        parts.append(counts.packed())
    total = merged(parts)
    for each in [*parts, total]:
        keys = [its.key for its in each.publications]
        assert keys == sorted(set(keys))
        for table in ("words", "months"):
            found = [row[:2] for row in rows(each, table)]
            assert found == sorted(found, key=lambda row: (row[0], row[1].encode()))
    found = rows(total, "words")
    assert Counter({(key_of(total, row[0]), *row[1:3]): row[3] for row in found}) == words
    came = dict[object, tuple[str, int]]()
    for number, word, label, _, spelling in found:
        _, first_spelling = came.setdefault((key_of(total, number), word), (label, spelling))
        assert spelling == first_spelling
    assert came == first
    found = rows(total, "months")
    assert Counter({(key_of(total, row[0]), *row[1:3]): row[3] for row in found}) == months


def rows(counts: PackedCounts, table: str) -> list[tuple[Any, ...]]:
    return [tuple(each.values()) for each in getattr(counts, table).to_pylist()]


def key_of(counts: PackedCounts, number: int) -> str:
    return counts.publications[number].key
