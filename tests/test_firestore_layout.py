"""The documents in Firestore: ids that never change, fields that come back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daskingest.articles import publication_key
from daskingest.ledger import BatchId, Counted, Split
from daskingest.stores import Publication, Word
from daskingest.stores.firestore_layout import (
    document_id,
    entry_fields,
    entry_id,
    key_fields,
    ledger_of,
    publication_of,
    word_id,
    word_of,
)
from daskingest.tally import Tally

names = st.text(alphabet=st.sampled_from("a_./%2f é"), max_size=12) | st.text(max_size=2_000)


def test_a_word_s_document_is_for_ever() -> None:
    assert word_id("u.s.") == "55bec27c7a3efe531cefe53b38c52422"


def test_document_ids_are_short_enough_and_differ() -> None:
    keys = [".", "..", "__x__", "_x_", "a/b", "/" * 1000, "/" * 1001, "é" * 2000, "é" * 2001, "x"]
    ids = [document_id(key) for key in keys]
    assert len(set(ids)) == len(keys)
    assert all(len(each.encode()) <= 1500 and "/" not in each for each in ids)
    assert not {".", ".."} & set(ids)
    assert document_id("__x__") == "%5F_x__"


@given(names)
def test_a_publication_s_key_comes_back(name: str) -> None:
    key = publication_key(name)
    fields = {"name": name, "count": 3, **key_fields(key)}
    assert publication_of(document_id(key), fields) == Publication(key, name, 3)


def test_a_publication_of_older_writers() -> None:
    assert publication_of("a%2Fb", {"count": 1}) == Publication("a/b", "a/b", 1)
    assert publication_of("a", {"name": "A"}) is None
    assert publication_of("a", {}) is None


def test_a_word_comes_back_with_its_labels_in_order() -> None:
    found = word_of({"word": "w", "count": 3, "labels": {"ORG": 1, "GPE": 2}})
    assert found == Word("w", 3, {"GPE": 2, "ORG": 1})
    assert list(found.labels) == ["GPE", "ORG"]
    assert word_of({"word": "w", "count": 3}) == Word("w", 3, {})


def test_a_ledger_entry_is_as_it_always_was() -> None:
    part, entry = BatchId("r", "7", (0, 1)), Counted(Tally(rows=3))
    fields = entry_fields(part, entry)
    assert fields == {"run": "r", "entry": "7.0.1", "whole": "r:7", "note": '{"rows": 3}'}
    assert ledger_of(fields) == {part: entry}
    assert ledger_of(entry_fields(part.whole, Split(1))) == {part.whole: Split(1)}
    assert entry_fields(BatchId.done("r"), entry)["entry"] == "done"
    assert entry_id(BatchId("r", "1")) == (
        "83780627ece961fa8e2df76a2542035666ec6950e5c203942f051b2c3a7d76ab"
    )
