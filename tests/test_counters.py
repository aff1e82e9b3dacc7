"""The stream of counters: like real news in what matters to a store, and the same each time."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from daskingest.benchmarks.counters import ARTICLES, LABELS, MONTHS, Stream, batches, counts_of
from daskingest.benchmarks.growth import commit_growth, flushes, measure
from daskingest.packed import merged
from daskingest.sample.names import names
from daskingest.stores import open_store


def test_batches_are_like_those_of_real_news() -> None:
    several = list(itertools.islice(batches(seed=3), 20))
    sizes = [each.size for each in several]
    mentions = [pc.sum(each.words["n"]).as_py() for each in several]
    assert 5_200 < statistics.mean(sizes) < 5_900
    assert 9_000 < statistics.mean(mentions) < 10_500
    assert all(sum(its.articles for its in each.publications) == ARTICLES for each in several)
    labels: Counter[str] = Counter()
    lengths: list[int] = []
    for _, words, _ in merged(several).by_publication():
        lengths += map(len, words.words)
        for label, count in zip(words.kinds, words.counts, strict=True):
            labels[label] += count
    assert [label for label, _ in labels.most_common(3)] == ["ORG", "PERSON", "GPE"]
    assert set(labels) <= set(LABELS)
    assert 12 < statistics.mean(lengths) < 20


def test_words_grow_without_an_end() -> None:
    """Heaps' law: with a power of what is mentioned that does not fall much."""
    stream = Stream(5)
    sizes = [len(stream.draw(number).words) for number in (20, 80, 320)]
    for one, other in itertools.pairwise(sizes):
        assert 0.7 < math.log(other / one) / math.log(4) < 0.85


def test_names_tell_words_from_each_other() -> None:
    words = np.unique(
        np.random.default_rng(0).integers(0, 1 << 46, 50_000) >> np.arange(50_000) % 46
    )
    assert len(set(names(words))) == len(words)
    assert names(words[:10]) == names(words)[:10]


def test_the_same_each_time() -> None:
    one, other, another = (counts_of(Stream(seed).draw()) for seed in (1, 1, 2))
    assert one == other != another


def test_dated_articles_are_counted_by_month_too() -> None:
    [dated], [plain] = (
        list(itertools.islice(batches(seed=3, dated=each), 1)) for each in (True, False)
    )
    assert dated.words.equals(plain.words)
    assert not len(plain.months)
    assert pc.sum(dated.months["n"]).as_py() == pc.sum(dated.words["n"]).as_py()
    assert 40 < len(pc.unique(dated.months["month"])) <= MONTHS


def test_a_store_grows_to_so_many_rows(tmp_path: Path) -> None:
    """The rows are said to be what the store has."""
    commits = measure(tmp_path / "store.db", flushes(20_000, 2))
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        words = {(name, word) for name, word, *_ in store.all_words()}
        articles = sum(each.count for each in store.publications())
    assert len(words) == commits[-1].rows >= 20_000
    assert articles == 2 * ARTICLES * len(commits)
    assert [each.rows for each in commits] == [each.rows for each in flushes(20_000, 2)]
    assert commit_growth(tmp_path, commits, 2) > 0


def test_many_publications_have_words_of_their_own() -> None:
    """Words that are one publication's alone are no other's, however many there are."""
    counts = counts_of(Stream(1, 500, dated=True).draw(40))
    where: dict[str, set[str]] = {}
    for publication, words, _ in counts.by_publication():
        for word in words.words:
            where.setdefault(word, set()).add(publication.key)
    assert len(counts.publications) > 400
    assert any(len(each) > 100 for each in where.values())
    assert sum(len(each) == 1 for each in where.values()) > len(where) // 2
    assert len(counts.publications[0].months) == MONTHS
