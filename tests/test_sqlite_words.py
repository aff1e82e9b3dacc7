"""How an SQLite store finds words: in order, each once, and never by reading a whole table."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from first_version import first_version, with_indexes_of
from hypothesis import given, settings
from hypothesis import strategies as st

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.sqlite_file import SqliteFile
from daskingest.stores import Store, Word, open_store, sqlite_words
from daskingest.stores.sqlite import SqliteStore
from daskingest.stores.sqlite_layout import FREQUENT, SCHEMA

MENTION = st.tuples(st.text("abc", min_size=1, max_size=3), st.sampled_from("AB"))
MENTIONS = st.lists(st.tuples(MENTION, st.sampled_from([1, 2, FREQUENT - 1, FREQUENT]))).map(
    lambda found: [each for each, times in found for _ in range(times)]
)


def count(
    store: Store, mentions: list[tuple[str, str]], publication: str = "P", number: int = 0
) -> None:
    counts = Counts()
    counts.add_article(publication, mentions)
    store.commit(counts.packed(), {BatchId(publication, str(number)): Counted()})


def pages(store: Store, label: str | None, size: int) -> Iterator[Word]:
    after = None
    while page := store.words("p", size, after, label):
        yield from page
        after = page[-1].count, page[-1].word


@pytest.fixture(params=[True, False], ids=["few words", "many words"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is small is read by one thread in one pass; here the same is taken for large."""
    if not request.param:
        for name, size in {"_RARE": 1, "_LARGE": 2}.items():
            monkeypatch.setattr(sqlite_words, name, size)


@pytest.mark.usefixtures("few")
@given(st.lists(MENTIONS, max_size=20), st.sampled_from(["", "a", "bc", "x"]))
@settings(max_examples=40, deadline=None)
def test_every_word_is_found_once_and_in_order(
    articles: list[list[tuple[str, str]]], text: str
) -> None:
    mentions = [each for article in articles for each in article]
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/s.db"
        with open_store(url, create=True) as store:
            for number, article in enumerate(articles):
                count(store, article, number=number)
            count(store, [("a", "A")], "Another")
        with open_store(url) as store:
            for label in (None, "A", "B"):
                counted = Counter(word for word, its in mentions if label in (None, its))
                expected = sorted(counted.items(), key=lambda each: (-each[1], each[0]))
                found = [(each.word, each.count) for each in pages(store, label, 3)]
                assert found == expected
                for limit in (1, 99):
                    found = [(w.word, w.count) for w in store.search("p", text, limit, label)]
                    assert found == [each for each in expected if text in each[0]][:limit]
            assert [row[1:4] for row in store.all_words("p")] == [
                (*key, its) for key, its in sorted(Counter(mentions).items())
            ]
            for word in store.words("p", 9):
                assert word.labels == {
                    label: its
                    for (its_word, label), its in Counter(mentions).items()
                    if its_word == word.word
                }
                assert store.find_words([("p", word.word)]) == {("p", word.word): word}


@pytest.mark.usefixtures("few")
def test_a_frequent_word_may_be_a_rare_one_of_its_label(tmp_path: Path) -> None:
    """The index has all of a word's count; a label's words are chosen by what of it is theirs."""
    near = (1, FREQUENT - 1, FREQUENT, FREQUENT + 1)
    times = {f"w{own} {other}": (own, other) for own in near for other in (0, *near)}
    with open_store(f"sqlite:///{tmp_path}/s.db", create=True) as store:
        for number, its in enumerate("AB"):  # A is the label that each was seen with first
            count(store, [(w, its) for w in times for _ in range(times[w][number])], "P", number)
    with open_store(f"sqlite:///{tmp_path}/s.db") as store:
        for label in (None, "A", "B"):
            counted = {
                word: sum(n for n, its in zip(of_both, "AB", strict=True) if label in (None, its))
                for word, of_both in times.items()
            }
            expected = sorted((-its, word) for word, its in counted.items() if its)
            for size in (1, 3, 99):
                found = [(-each.count, each.word) for each in pages(store, label, size)]
                assert found == expected
                searched = store.search("p", "w6", size, label)
                of_them = [each for each in expected if each[1].startswith("w6")]
                assert [(-each.count, each.word) for each in searched] == of_them[:size]


class Traced(SqliteStore):
    """Remembers its statements."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.statements: set[str] = set()

    def _reader(self) -> SqliteFile:
        file = super()._reader()
        file.connection.set_trace_callback(self.statements.add)
        return file

    def plans(self) -> dict[str, list[str]]:
        """The steps of each query."""
        queries = sorted(each for each in self.statements if each.startswith("SELECT"))
        with super()._reader() as file:
            db = file.connection
            return {
                query: [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {query}")]
                for query in queries
            }


@pytest.mark.usefixtures("few")
def test_nothing_reads_a_whole_table(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with open_store(f"sqlite:///{path}", create=True) as store:
        for name in ("P", "Q"):
            count(store, [(w, "A") for w in "abcdef" for _ in range(ord(w) - ord("a") + 1)], name)
    with Traced(str(path)) as traced:
        for label in (None, "A"):
            assert len([*pages(traced, label, 1)]) == len([*pages(traced, label, 99)]) == 6
            assert len(traced.search("p", "b", 9, label)) == 1
        assert len(traced.find_words([("p", "a"), ("q", "b"), ("none", "a")])) == 2
        assert len([*traced.all_words("p")]) == 6
        assert traced.publication("p")
        plans = traced.plans()
        assert len(plans) > 20
        for query, steps in plans.items():
            for step in steps:
                assert not re.match("SCAN (words|labels)", step), query
                searched = re.match("SEARCH (words|labels) USING .*?(\\(.*\\))", step)
                assert not searched or searched[2].startswith("(publication=?"), (query, step)
            one_pass = "word > " in query and "ORDER BY count DESC" in query
            if "'b'" not in query and not one_pass:
                assert not any("TEMP B-TREE" in step for step in steps), (query, steps)


def test_a_search_that_finds_much_leaves_aside_what_is_too_rare(tmp_path: Path) -> None:
    times = {f"w{n}": FREQUENT - n // 40 if n < 100 else 1 for n in range(600)}
    with open_store(f"sqlite:///{tmp_path}/s.db", create=True) as store:
        count(store, [(word, "A") for word, n in times.items() for _ in range(n)])
    expected = sorted((-n, word) for word, n in times.items())
    for limit, passes in {30: 0, 80: 1, 300: 2, 599: 1}.items():
        with Traced(f"{tmp_path}/s.db") as traced:
            found = [(-each.count, each.word) for each in traced.search("p", "w", limit)]
            assert found == expected[:limit]
            assert len([each for each in traced.statements if "word > " in each]) == passes


BY_LABEL = {"words_by_count", "words_by_label", "other_labels_by_count"}
INDEXES = {
    1: {"words_by_count", "labels_by_count"},
    2: BY_LABEL,
    3: BY_LABEL,
    SCHEMA.version: BY_LABEL - {"words_by_label"},
}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("version", INDEXES)
def test_frequent_words_are_read_from_a_covering_index(tmp_path: Path, version: int) -> None:
    """Also in a store of an earlier version. Only the words of a label are sorted."""
    path = tmp_path / "s.db"
    if version == 1:
        first_version(path, 2_000)
    else:
        with open_store(f"sqlite:///{path}", create=True) as store:
            count(store, [(w, label) for label in ("ORG", "A") for w in "abc" for _ in range(70)])
        if version != SCHEMA.version:
            with_indexes_of(version, path)
    used = set[str]()
    with Traced(str(path)) as traced:
        for label in (None, "ORG", "GPE"):
            for after in (None, (70, "a"), (3, "a")):
                traced.words("p", 1, after, label)
            traced.search("p", "w 3d", 9, label)
        for query, steps in traced.plans().items():
            if f">= {FREQUENT}" not in query:
                continue
            for step in steps:
                if step.startswith(("SCAN", "SEARCH")):
                    place = r"\(publication=\? AND (?:label=\? AND )?(?:count|<expr>)>\?"
                    index = re.search(f"USING COVERING INDEX (\\w+) {place}", step)
                    assert index, (query, step)
                    used.add(index[1])
            assert "label = " in query or not any("TEMP B-TREE" in each for each in steps), query
    assert used == INDEXES[version]


def test_what_is_committed_while_it_searches_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass reads with connections of its own, which may see what this one does not yet."""
    with open_store(f"sqlite:///{tmp_path}/s.db", create=True) as writer:
        count(writer, [("old zz", "A"), ("b", "B")])
        with SqliteStore(f"{tmp_path}/s.db") as store:
            assert store.publications()
            reader = store._reader

            def late() -> SqliteFile:
                count(writer, [("new zz", "A")] * 2, number=time.monotonic_ns())
                return reader()

            monkeypatch.setattr(store, "_reader", late)
            assert [each.word for each in store.search("p", "zz", 9)] == ["old zz"]
            assert [each.word for each in store.search("p", "zz", 9)][:2] == ["new zz", "old zz"]
            assert store.search("p", "zz", 9, "A")[0].word == "new zz"
