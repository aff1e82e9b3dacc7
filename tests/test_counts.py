from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from daskingest.articles import publication_key
from daskingest.counts import Counts
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
