from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from daskingest.articles import publication_key
from daskingest.counts import Counts, _Column, _counted
from daskingest.packed import merged
from daskingest.tally import Tally
from daskingest.text import word_of

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["ORG", "GPE"])), max_size=5)
ARTICLES = st.lists(st.tuples(st.sampled_from(["P", "p ", "Q"]), PAIRS), max_size=8)


def counts_of(articles: list[tuple[str, list[tuple[str, str]]]]) -> Counts:
    counts = Counts()
    for publication, words in articles:
        counts.add_article(publication, words)
    return counts


@given(ARTICLES, ARTICLES)
def test_merging_adds(
    first: list[tuple[str, list[tuple[str, str]]]], second: list[tuple[str, list[tuple[str, str]]]]
) -> None:
    total = merged([counts_of(first).packed(), counts_of(second).packed()])
    expected = counts_of(first + second)
    assert list(total.by_publication()) == list(expected.packed().by_publication())
    words = {(publication_key(p), *each) for p, its in first + second for each in its}
    assert total.size == len(expected.publications) + len(words)


def test_many_publications_and_words_stay_in_order() -> None:
    """What numbers them all may be as large as there is room for in 64 bits."""
    one = _Column(pa.array(["a"]), np.zeros(16, np.int64))
    publications = np.array([1 << 59, (1 << 59) - 1] * 8)
    (found, _, _, counts), first = _counted(publications, one, one)
    assert (found.tolist(), counts.tolist(), first.tolist()) == ([-1, 0], [8, 8], [1, 0])


def test_the_first_name_stays() -> None:
    counts = counts_of([("The Post", []), ("THE POST", [("a", "ORG")])])
    assert counts.publications["the post"].name == "The Post"
    assert counts.publications["the post"].articles == 2


def test_words_are_folded() -> None:
    assert word_of(" New\n York ") == "new york"
    assert word_of("\t") == ""
    assert word_of("Zu\u0308rich") == word_of("Zürich") == "zürich"


def test_a_tally_survives_the_ledger() -> None:
    tally = Tally(rows=3, articles=1, text_words=5, entities=2, rejected=Counter({"no content": 1}))
    tally.reject(2, "killed its worker")
    assert Tally.from_json(tally.to_json()) == tally
    assert Tally().to_json() == {}
