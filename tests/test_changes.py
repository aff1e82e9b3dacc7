"""Words that came and went."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daskingest.stores import Months, Word
from daskingest.stores.periods import WordMonths
from daskingest.web.changes import changes_of, half_of
from daskingest.web.keyness import CHANCE


def found(word: str, months: Months) -> WordMonths:
    return WordMonths(Word(word, sum(months.values()), {}), months)


def test_halves_have_as_many_articles_as_can_be() -> None:
    assert half_of({}) is None
    assert half_of({5: 9, 6: 0}) is None
    assert half_of({1: 10, 2: 10, 3: 10, 4: 10}) == 3
    assert half_of({1: 90, 2: 5, 9: 5}) == 2
    assert half_of({1: 5, 2: 5, 9: 90}) == 9


@given(st.dictionaries(st.integers(0, 40), st.integers(1, 99), min_size=2, max_size=12))
def test_no_other_month_halves_better(articles: Months) -> None:
    half = half_of(articles)
    assert half is not None

    def difference(first: int) -> int:
        before = sum(count for month, count in articles.items() if month < first)
        return abs(sum(articles.values()) - 2 * before)

    assert difference(half) == min(difference(month) for month in articles)


def test_what_came_and_what_went() -> None:
    articles = {1: 100, 2: 100, 3: 100, 4: 100}
    words = [
        found("always", {1: 50, 2: 50, 3: 50, 4: 50}),
        found("came", {2: 1, 3: 30, 4: 30}),
        found("went", {1: 40, 4: 2}),
        found("once", {3: 1}),
    ]
    changes = changes_of(words, articles, 5)
    assert changes is not None
    assert (changes.half, changes.earlier, changes.later) == (3, 200, 200)
    assert [(each.found.word.word, each.earlier, each.later) for each in changes.rose] == [
        ("came", 1, 60)
    ]
    assert [(each.found.word.word, each.earlier, each.later) for each in changes.fell] == [
        ("went", 40, 2)
    ]
    assert changes.rose[0].z > CHANCE
    assert changes.fell[0].z < -CHANCE
    assert changes_of(words, {1: 4}, 5) is None
    assert changes_of([], articles, 5) is not None
