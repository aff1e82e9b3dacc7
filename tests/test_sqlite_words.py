"""How an SQLite store finds words: in order, each once, and never by reading a whole table."""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.sqlite_file import SqliteFile
from daskingest.stores import Store, Word, open_store, sqlite_words
from daskingest.stores.sqlite import SqliteStore
from daskingest.stores.sqlite_layout import FREQUENT

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


class Traced(SqliteStore):
    """Remembers its statements."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.statements: set[str] = set()

    def _reader(self) -> SqliteFile:
        file = super()._reader()
        file.connection.set_trace_callback(self.statements.add)
        return file


@pytest.mark.usefixtures("few")
def test_nothing_reads_a_whole_table(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with open_store(f"sqlite:///{path}", create=True) as store:
        for name in ("P", "Q"):
            count(store, [(w, "A") for w in "abcdef" for _ in range(ord(w) - ord("a") + 1)], name)
    with closing(sqlite3.connect(path)) as db, Traced(str(path)) as traced:
        for label in (None, "A"):
            assert len([*pages(traced, label, 1)]) == len([*pages(traced, label, 99)]) == 6
            assert len(traced.search("p", "b", 9, label)) == 1
        assert len(traced.find_words([("p", "a"), ("q", "b"), ("none", "a")])) == 2
        assert len([*traced.all_words("p")]) == 6
        assert traced.publication("p")
        queries = {each for each in traced.statements if each.startswith("SELECT")}
        assert len(queries) > 20
        for query in queries:
            steps = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {query}")]
            for step in steps:
                assert not re.match("SCAN (words|labels)", step), query
                searched = re.match("SEARCH (words|labels) USING .*?(\\(.*\\))", step)
                assert not searched or searched[2].startswith("(publication=?"), (query, step)
            one_pass = "word > " in query and "ORDER BY count DESC" in query
            if "'b'" not in query and not one_pass:
                assert not any("TEMP B-TREE" in step for step in steps), (query, steps)


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
