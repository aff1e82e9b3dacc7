"""A store read through aliases is one in which the words had been counted as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.stores import ReadableStore, Word, open_store
from daskingest.stores.aliased import AliasedStore, aliased
from daskingest.stores.aliases import ALONE, Aliases, AliasGroup
from daskingest.stores.periods import Period, trends_of, words_within

GROUPS = Aliases(
    [
        AliasGroup("The States", ("the states", "us", "u.s.")),
        AliasGroup("EU", ("eu", "the union")),
        AliasGroup("x", ("x", "zz")),
    ]
)
WORDS = ["the states", "us", "u.s.", "eu", "the union", "zz", "a", "u", "the moon", "y", "union"]
JUNE, JULY = 557, 558

mention = st.tuples(st.sampled_from(WORDS), st.sampled_from(["GPE", "ORG", "LOC"]))
article = st.tuples(st.sampled_from("PQ"), st.lists(mention, max_size=30), st.integers(557, 559))


def write(path: Path, articles: list[tuple[str, list[tuple[str, str]], int]], merge: bool) -> None:
    """Into a new store. Merged, each word is replaced by the name of its group beforehand."""
    counts = Counts()
    for publication, found, month in articles:
        groups = [GROUPS.of(word) if merge else None for word, _ in found]
        names = [each.name if each else found[at][0] for at, each in enumerate(groups)]
        entities = [(name, label) for name, (_, label) in zip(names, found, strict=True)]
        counts.add_article(publication, entities, month if month != 559 else None)
    path.unlink(missing_ok=True)
    with open_store(f"sqlite:///{path}", create=True) as store:
        store.commit(counts.packed(), {BatchId("r", "1"): Counted()})


def plain(words: list[Word]) -> list[tuple[str, str, int, dict[str, int]]]:
    return [(each.word, each.name, each.count, each.labels) for each in words]


def paged(store: ReadableStore, key: str, limit: int, label: str | None) -> list[Word]:
    """All words, page by page, none of which is short but the last."""
    every: list[Word] = []
    after = None
    while page := store.words(key, limit, after, label):
        every += page
        after = page[-1].count, page[-1].word
        assert len(every) <= len(WORDS)
        if len(page) < limit:
            assert store.words(key, limit, after, label) == []
            break
    return every


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.lists(article, max_size=8),
    st.integers(1, 7),
    st.sampled_from([None, "GPE", "ORG"]),
    st.sampled_from(["u", "u.s", "the", "un", "s", "", "q"]),
    st.sampled_from([Period(JUNE, JUNE), Period(JULY, None), Period(None, JULY)]),
    st.booleans(),
)
def test_it_is_as_if_the_words_had_been_one(
    tmp_path: Path,
    articles: list[tuple[str, list[tuple[str, str]], int]],
    limit: int,
    label: str | None,
    text: str,
    period: Period,
    billed: bool,
) -> None:
    write(tmp_path / "apart.db", articles, merge=False)
    write(tmp_path / "merged.db", articles, merge=True)
    with (
        open_store(f"sqlite:///{tmp_path}/apart.db") as apart,
        open_store(f"sqlite:///{tmp_path}/merged.db") as merged,
    ):
        store = aliased(apart, GROUPS)
        store.billed = billed  # which only changes how much is read at once
        assert store.publications() == merged.publications()
        assert store.article_months() == merged.article_months()
        assert list(store.all_words()) == list(merged.all_words())
        for key in ("p", "q", "none"):
            every = merged.words(key, 1_000, None, label)
            assert plain(paged(store, key, limit, label)) == plain(every)
            assert plain(store.words(key, 1_000, None, label)) == plain(every)
            assert list(store.all_words(key)) == list(merged.all_words(key))
            assert list(store.all_months(key)) == list(merged.all_months(key))
            _compare_searches(store, merged, apart, key, text, limit, label)
            found = words_within(store, key, period, limit, label)
            expected = words_within(merged, key, period, limit, label)
            assert (plain(found[0]), found[1]) == (plain(expected[0]), expected[1])
        _compare_words(store, merged, period)


def _compare_searches(
    store: ReadableStore,
    merged: ReadableStore,
    apart: ReadableStore,
    key: str,
    text: str,
    limit: int,
    label: str | None,
) -> None:
    """A group is found by its name, and by each of its words that occurs there."""
    found = {each.word for each in apart.search(key, text, 1_000, label)}
    found = {store.counted_as(word) for word in found}
    expected = [
        each
        for each in merged.words(key, 1_000, None, label)
        if text in each.word or each.word in found
    ]
    assert plain(store.search(key, text, limit, label)) == plain(expected[:limit])


def _compare_words(store: ReadableStore, merged: ReadableStore, period: Period) -> None:
    pairs = [(key, word) for key in ("p", "q", "none") for word in WORDS]
    keys = {pair: (pair[0], store.counted_as(pair[1])) for pair in pairs}
    found = merged.find_words(set(keys.values()))
    assert {pair: plain([word]) for pair, word in store.find_words(pairs).items()} == {
        pair: plain([found[key]]) for pair, key in keys.items() if key in found
    }
    months = merged.word_months(set(keys.values()))
    assert store.word_months(pairs) == {
        pair: months[key] for pair, key in keys.items() if key in months
    }
    publications = store.publications()
    words = list(dict.fromkeys(map(store.counted_as, WORDS)))
    trends = trends_of(store, WORDS, publications, period)
    assert [each.to_json() | {"aliases": 0} for each in trends] == [
        each.to_json() | {"aliases": 0} for each in trends_of(merged, words, publications, period)
    ]


@pytest.fixture(params=["sqlite", "firestore", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReadableStore]:
    """Of each kind, read through the aliases."""
    sqlite, name = f"sqlite:///{tmp_path}/s.db", f"{request.param}_url"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue(name)
    counts = Counts()
    met = [("U.S.", "GPE")] * 3 + [("US", "GPE")] * 2 + [("Us", "ORG"), ("Union", "ORG")]
    counts.add_article("P", [*met, ("Rome", "GPE")], JUNE)
    counts.add_article("P", [("US", "GPE")] + [("Rome", "GPE")] * 4, JULY)
    counts.add_article("Q", [("the States", "GPE"), ("Rome", "GPE")], JUNE)
    with open_store(url, create=True) as opened:
        opened.commit(counts.packed(), {BatchId("r", "1"): Counted()})
        yield aliased(opened, GROUPS)


def test_words_of_a_group_are_one(store: ReadableStore) -> None:
    states, rome, union = store.words("p", 10)
    assert (states.word, states.name, states.count) == ("the states", "The States", 7)
    assert states.labels == {"GPE": 6, "ORG": 1}
    assert [(each.word, each.count) for each in states.aliases] == [("us", 4), ("u.s.", 3)]
    assert states.to_json()["aliases"] == ["us", "u.s."]
    assert (rome.word, rome.count, rome.aliases) == ("rome", 5, ())
    assert "aliases" not in rome.to_json()
    assert store.words("p", 1) == [states]
    assert store.words("p", 2, (7, "the states")) == [rome, union]
    [under] = store.words("p", 1, None, "ORG")
    assert (under.word, under.count, under.labels) == ("the states", 1, {"ORG": 1})
    assert store.search("p", "u", 10) == [states, union]
    assert store.search("p", "the st", 10) == [states]
    assert [each.word for each in store.search("q", "us", 10)] == []
    for word in ("us", "u.s.", "the states"):
        assert store.counted_as(word) == "the states"
        assert store.find_words([("p", word)]) == {("p", word): states}
        assert store.word_months([("p", word)]) == {("p", word): {JUNE: 6, JULY: 1}}
    assert [row[1:4] for row in store.all_words("p")] == [
        ("rome", "GPE", 5),
        ("the states", "GPE", 6),
        ("the states", "ORG", 1),
        ("union", "ORG", 1),
    ]
    assert [word for word, _ in store.all_months("p")] == ["rome", "the states", "union"]


def test_many_words_are_looked_up_at_once(store: ReadableStore) -> None:
    made_up = [(key, f"word {i}") for i in range(100) for key in "pq"]
    met = [("p", "rome"), ("p", "us"), ("q", "the states"), ("none", "rome")]
    assert set(store.find_words([*made_up, *met])) == set(met[:3])


def test_a_group_of_which_only_the_name_occurs_has_no_aliases(store: ReadableStore) -> None:
    [states] = store.find_words([("q", "us")]).values()
    assert (states.name, states.count, states.aliases) == ("The States", 1, ())


def test_without_aliases_the_store_is_read_itself(store: ReadableStore) -> None:
    assert aliased(store, ALONE) is store
    assert store.find_words([]) == {}
    assert store.word_months([]) == {}
    assert store.words("none", 10) == store.search("none", "u", 10) == []


class Reads:
    """Passes lookups on, and counts the words that are looked up."""

    def __init__(self, store: ReadableStore) -> None:
        self.looked_up = 0
        self._find = store.find_words

    def __call__(self, words: list[tuple[str, str]]) -> dict[tuple[str, str], Word]:
        self.looked_up += len(words)
        return self._find(words)


@pytest.mark.parametrize(("billed", "lookups"), [(True, 2), (False, 4)])
def test_where_reads_are_billed_words_are_looked_up_once_a_minute(
    billed: bool, lookups: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "s.db", [("P", [("us", "GPE")], JUNE), ("Q", [("eu", "ORG")], JUNE)], False)
    now = 0.0
    with open_store(f"sqlite:///{tmp_path}/s.db") as opened:
        monkeypatch.setattr(opened, "billed", billed, raising=False)
        reads = Reads(opened)
        monkeypatch.setattr(opened, "find_words", reads)
        kept: dict[str, tuple[float, dict[str, Word]]] = {}
        for now in (0.0, 1.0, 59.0, 61.0):
            store = AliasedStore(opened, GROUPS, kept, lambda: now)
            assert [each.name for each in store.words("p", 10)] == ["The States"]
        assert reads.looked_up == lookups * len(list(GROUPS.words))
