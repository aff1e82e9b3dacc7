"""What every store must do; run on each kind of store there is."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import strategies as st

from daskingest.counts import Counts
from daskingest.errors import StoreError, UsageError
from daskingest.ledger import BatchId, Begun, Counted, Done, Entry, Ledger, Split
from daskingest.packed import PackedCounts
from daskingest.spelling import spelled
from daskingest.stores import AlreadyCommitted, Publication, Store, Word, open_store
from daskingest.tally import Tally

ARTICLES = st.lists(st.lists(st.text("abc", min_size=1, max_size=2), max_size=9), max_size=12)

ONE, THREE = Counted(Tally(rows=1)), Counted(Tally(rows=3))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture(params=["sqlite_url", "firestore_url", "postgresql_url"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url, create=True) as opened:
        yield opened


def counts_of(*articles: tuple[str, list[tuple[str, str]]]) -> PackedCounts:
    counts = Counts()
    for publication, words in articles:
        counts.add_article(publication, words)
    return counts.packed()


def ledger_of(entries: dict[str, Entry]) -> Ledger:
    return {BatchId.parse(text): entry for text, entry in entries.items()}


def one(text: str, entry: Entry | None = None) -> Ledger:
    return ledger_of({text: entry or Counted()})


def ids(*texts: str) -> list[BatchId]:
    return [BatchId.parse(text) for text in texts]


def test_commits_add_up(store: Store) -> None:
    store.commit(counts_of(("The Post", [("u.s.", "GPE"), ("u.s.", "ORG")])), one("r:1", ONE))
    store.commit(counts_of(("THE POST", [("u.s.", "GPE")]), ("B", [])), one("r:2"))
    post, other = Publication("the post", "The Post", 2), Publication("b", "B", 1)
    assert store.publications() == [post, other]
    assert store.words("the post", 10) == [Word("u.s.", 3, {"GPE": 2, "ORG": 1})]
    assert list(store.all_words()) == [
        ("The Post", "u.s.", "GPE", 2, 0),
        ("The Post", "u.s.", "ORG", 1, 0),
    ]


def test_commits_of_thousands_of_words_add_up(sqlite_url: str) -> None:
    words = [f"word {number:04}" for number in range(2_065)]
    first, second = ([(word, label) for word in words] for label in ("ORG", "GPE"))
    with open_store(sqlite_url, create=True) as store:
        store.commit(counts_of(("A", first), ("B", [*first, *second[:40]])), one("r:1"))
        store.commit(counts_of(("A", [*first, *second])), one("r:2"))
        for word in store.words("a", len(words) + 1):
            assert (word.count, word.labels) == (3, {"ORG": 2, "GPE": 1})
        assert [(each.word, each.count) for each in store.words("b", len(words) + 1)] == [
            *((word, 2) for word in words[:40]),
            *((word, 1) for word in words[40:]),
        ]
        assert len(store.words("a", len(words) + 1)) == len(words)


def test_a_batch_is_committed_once(store: Store) -> None:
    store.commit(counts_of(("P", [("a", "ORG")])), one("r:1", ONE))
    with pytest.raises(AlreadyCommitted):
        store.commit(counts_of(("P", [("a", "ORG")])), one("r:0") | one("r:1", THREE))
    assert store.words("p", 10) == [Word("a", 1, {"ORG": 1})]
    assert store.ledger("r") == one("r:1", ONE)


def test_words_are_searched_and_looked_up(store: Store) -> None:
    paris = [("paris", "GPE")] * 2 + [("paris hilton", "PERSON"), ("paris", "ORG"), ("rome", "GPE")]
    store.commit(counts_of(("P", paris), ("Q/R", [("rome", "GPE")])), one("r:1"))
    found = [Word("paris", 3, {"GPE": 2, "ORG": 1}), Word("paris hilton", 1, {"PERSON": 1})]
    assert store.search("p", "par", 10) == found
    assert store.search("p", "par", 1) == found[:1]
    assert store.search("p", "par", 10, "ORG") == [Word("paris", 1, {"ORG": 1})]
    assert store.search("p", "%", 10) == store.search("none", "p", 10) == []
    asked = [("p", "paris"), ("q/r", "rome"), ("q/r", "paris"), ("none", "rome")]
    assert store.find_words(asked) == {
        ("p", "paris"): found[0],
        ("q/r", "rome"): Word("rome", 1, {"GPE": 1}),
    }
    assert store.find_words([]) == {}


def test_the_ledger_is_read_by_run(store: Store) -> None:
    begun = Begun("é.csv", 9, "article", "publication", "m 1.0", 1_000, 1)
    mine = ledger_of({"r:begin": begun, "r:1": Counted(), "r:10.0.1": THREE})
    store.commit(PackedCounts(), mine | one("r2:1") | one("q:1"))
    assert store.ledger("r") == mine
    assert store.ledger("none") == {}


def test_words_come_in_pages(store: Store) -> None:
    words = [(f"w{i:02}", "ORG" if i % 2 else "GPE") for i in range(25) for _ in range(i // 3)]
    store.commit(counts_of(("P", words), ("Q", [("w99", "ORG")])), one("r:1"))
    for label in (None, "ORG"):
        every = store.words("p", 1000, label=label)
        assert every == sorted(every, key=lambda each: (-each.count, each.word))
        paged: list[Word] = []
        while page := store.words(
            "p", 4, after=(paged[-1].count, paged[-1].word) if paged else None, label=label
        ):
            paged += page
        assert paged == every
    assert {each.word for each in store.words("p", 1000, label="ORG")} == {
        f"w{i:02}" for i in range(3, 25, 2)
    }
    assert store.words("nobody", 10) == []


def test_entries_are_looked_up_and_forgotten_with_their_parts(store: Store) -> None:
    family = ledger_of({"r:1": Split(2), "r:1.0": Counted(), "r:1.1.0": Counted()})
    done, begun = Done(Tally(), at=1), Begun("f", 9, "a", "p", "m", 1_000, 1)
    other, ends = one("r:10", ONE), one("r:done", done)
    store.commit(PackedCounts(), family | other | ends | one("q:begin", begun))
    assert store.ledger_entries(ids("r:10", "r:1", "r:2", "r:3")) == other | one("r:1", Split(2))
    assert store.ledger_entries([]) == {}
    assert store.finished() == {"r": done}
    assert store.begun() == {"q": begun}
    hold = store.take_over("r", "me")
    store.forget(ids("r:1", "r:7"), hold)
    store.forget([], hold)
    assert store.ledger("r") == other | ends


def test_odd_publications_are_kept_apart(store: Store) -> None:
    names = ["..", ".", "__x__", "__", "a/b", "a%2fb", "100%", "العربية اليوم", "\N{GRINNING FACE}"]
    names += ["u.s. [`*`]", "n" * 2_000, "n" * 2_001, "\N{GRINNING FACE}" * 500]
    for i, name in enumerate(names):
        store.commit(counts_of((name, [(f"w{i}", "ORG")] * (i + 1))), one(f"r:{i}"))
    found = store.publications()
    assert {each.key for each in found} == set(names)
    assert {each.name for each in found} == set(names)
    for i, name in enumerate(names):
        assert store.words(name, 10) == [Word(f"w{i}", i + 1, {"ORG": i + 1})]
        assert store.publication(name) == Publication(name, name, 1)
        assert list(store.all_words(name)) == [(name, f"w{i}", "ORG", i + 1, 0)]
    assert store.publication("none") is None
    assert list(store.all_words("none")) == []


def test_words_of_a_label_come_in_pages(store: Store) -> None:
    words = [(w, label) for w in "abcdef" for label in ("ORG", "A.B`c\\d")] + [("c", "ORG")]
    store.commit(counts_of(("P", words)), one("r:1"))
    for label in ("ORG", "A.B`c\\d"):
        seen: list[Word] = []
        while page := store.words("p", 2, (seen[-1].count, seen[-1].word) if seen else None, label):
            seen += page
        assert [each.word for each in seen] == list("cabdef" if label == "ORG" else "abcdef")
        assert all(each.labels == {label: each.count} for each in seen)


def test_any_text_comes_back(store: Store, url: str) -> None:
    texts = ["a/b", "..", "__x__", "😀", "שלום", "`*[", "x" * 256, "'; --", '"', "\\.", ","]
    if not url.startswith("postgresql:"):  # which takes no NUL; no article that is counted has one
        texts.append("nul\0byte")
    store.commit(counts_of(*((text, [(text, "ORG")]) for text in texts)), one("r:1"))
    assert {each.key for each in store.publications()} == set(texts)
    for text in texts:
        assert store.words(text, 2) == [Word(text, 1, {"ORG": 1})]


def test_a_closed_store_opens_itself(store: Store) -> None:
    store.commit(counts_of(("P", [])), one("r:1"))
    store.close()
    store.commit(counts_of(("P", [])), one("r:2"))
    assert store.publications() == [Publication("p", "P", 2)]


def test_urls_of_no_store() -> None:
    for url in (
        "mysql://x",
        "daskingest.db",
        "sqlite://file.db",
        "sqlite:///",
        "firestore://",
        "firestore://a/b/c",
    ):
        with pytest.raises(UsageError, match=r"expected sqlite:///PATH.*firestore://PROJECT"):
            open_store(url)


def test_a_store_that_is_not_there_is_not_made_by_reading(sqlite_url: str) -> None:
    with pytest.raises(StoreError, match="nothing has been counted there yet"):
        open_store(sqlite_url)
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_files_that_are_no_store(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (x)")
    db.close()
    text = tmp_path / "text.db"
    text.write_text("this is not a database at all, but a text file " * 100)
    for path, message in ((other, "another SQLite file"), (text, "not a database")):
        for create in (False, True):
            with pytest.raises(StoreError, match=message):
                open_store(f"sqlite:///{path}", create=create)
    with pytest.raises(StoreError, match="unable to open"):
        open_store(f"sqlite:///{tmp_path}/no/such/folder/x.db", create=True)


def test_readers_are_not_blocked_by_a_writer(sqlite_url: str) -> None:
    with open_store(sqlite_url, create=True) as store:
        store.commit(counts_of(("P", [])), one("r:1"))
    writer = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE publications SET count = 99")
    with open_store(sqlite_url) as reader:
        assert reader.publications() == [Publication("p", "P", 1)]
    writer.execute("ROLLBACK")
    writer.close()


def test_counts_are_kept_by_month(tmp_path: Path) -> None:
    """Those of articles with a date. Words that occur in many months are summed up at times."""
    expected: Counter[str] = Counter()
    with open_store(f"sqlite:///{tmp_path}/a.db", create=True) as store:
        for number in range(300):
            counts, month = Counts(), number % 150 - 30
            counts.add_article("P", [("a", "ORG"), ("a", "GPE"), (f"w{number}", "ORG")], month)
            counts.add_article("P", [("a", "ORG")])
            expected[date_of(month)] += 2
            store.commit(counts.packed(), one(f"r:{number}"))
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        rows = db.execute("SELECT month, count FROM months WHERE word = 'a'").fetchall()
        assert dict(rows) == dict(expected)
        assert db.execute("SELECT count FROM months WHERE word = 'w0'").fetchall() == [(1,)]
        [(longest,)] = db.execute("SELECT max(length(months)) FROM words")
        assert longest < 3000
        [(text,)] = db.execute("SELECT months FROM publications")
        assert sum(count for _, count in json.loads(f"[{text}]")) == 300


def date_of(month: int) -> str:
    return f"{1970 + month // 12}-{month % 12 + 1:02}-01"


def test_words_are_shown_as_they_were_written_first(store: Store) -> None:
    first = [("NASA", "ORG"), ("the U.S.", "GPE"), ("the U.S.", "LOC"), ("plain", "ORG")]
    store.commit(counts_of(("A", first)), one("r:1"))
    store.commit(counts_of(("B", [("Nasa", "ORG")])), one("r:2"))
    names = {each.word: each.name for each in store.words("a", 10)}
    assert names == {"nasa": "NASA", "the u.s.": "the U.S.", "plain": "plain"}
    assert [each.name for each in store.words("a", 10, label="LOC")] == ["the U.S."]
    assert store.search("a", "nas", 10)[0].name == "NASA"
    assert store.find_words([("b", "nasa")])["b", "nasa"].name == "Nasa"
    assert {row[1]: spelled(row[1], row[4]) for row in store.all_words("a")} == names


def test_counts_by_month_add_up(store: Store) -> None:
    june, july = 557, 558
    for number, month in enumerate((june, july, june, None)):
        counts = Counts()
        counts.add_article("P", [("A", "ORG"), ("A", "GPE"), (f"b{number}", "ORG")], month)
        counts.add_article("Q", [("a", "ORG")])
        store.commit(counts.packed(), one(f"r:{number}"))
    assert store.article_months() == {"p": {june: 2, july: 1}}
    assert store.article_months("p") == {"p": {june: 2, july: 1}}
    assert store.article_months("q") == {}
    pairs = [("p", "a"), ("p", "b1"), ("p", "b3"), ("q", "a"), ("q", "none")]
    assert store.word_months(pairs) == {("p", "a"): {june: 4, july: 2}, ("p", "b1"): {july: 1}}
    assert list(store.all_months("p")) == [
        ("a", {june: 4, july: 2}),
        ("b0", {june: 1}),
        ("b1", {july: 1}),
        ("b2", {june: 1}),
    ]
    assert list(store.all_months("none")) == []
    assert store.words("p", 1) == [Word("a", 8, {"GPE": 4, "ORG": 4}, 1)]


def test_months_may_come_alone(store: Store) -> None:
    """As when a store is published into one that had the counts before it had months."""
    june, counts = 557, Counts()
    counts.add_article("P", [("a", "ORG"), ("b", "ORG"), ("b", "GPE")], june)
    whole = counts.packed()
    store.commit(replace(whole, months=PackedCounts().months), one("r:1"))
    store.commit(replace(whole, words=PackedCounts().words), one("r:2"))
    assert store.words("p", 9) == [Word("b", 2, {"GPE": 1, "ORG": 1}), Word("a", 1, {"ORG": 1})]
    assert dict(store.all_months("p")) == {"a": {june: 1}, "b": {june: 2}}
    store.commit(whole, one("r:3"))
    assert store.words("p", 9, label="GPE") == [Word("b", 2, {"GPE": 2})]
    assert dict(store.all_months("p")) == {"a": {june: 2}, "b": {june: 4}}
