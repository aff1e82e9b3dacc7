"""Words that rose: by how much more they are mentioned of late, in each publication."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from daskingest.stores import Word
from daskingest.web.rising import LEAST, Rising, RisingWord, windows_of

MONTH = 600
EVERY = {MONTH + i: 100 for i in range(15)}


def word(name: str, before: int, late: int) -> tuple[Word, dict[int, int]]:
    """A word with so many mentions a month."""
    months = {MONTH + i: late if i >= 12 else before for i in range(15)}
    return Word(name, sum(months.values()), {}), months


def risen(*several: tuple[dict[int, int], list[tuple[Word, dict[int, int]]]]) -> list[RisingWord]:
    windows = windows_of(EVERY)
    assert windows is not None
    rising = Rising(windows)
    for articles, words in several:
        rising.add(articles, words)
    return rising.most(20)


def test_windows() -> None:
    windows = windows_of(EVERY)
    assert windows is not None
    assert windows.late == (MONTH + 12, MONTH + 14)
    assert windows.before == (MONTH, MONTH + 11)
    short = windows_of({MONTH: 5, MONTH + 1: 5})
    assert short is not None
    assert (short.late, short.before) == ((MONTH + 1, MONTH + 1), (MONTH, MONTH))
    assert windows_of({}) is None
    assert windows_of({MONTH: 5}) is None


def test_an_article_from_the_future_moves_no_window() -> None:
    assert windows_of({**EVERY, MONTH + 900: 1}) == windows_of(EVERY)


def test_what_rose_is_found_and_what_did_not_is_not() -> None:
    words = [word("steady", 50, 50), word("fell", 50, 5), word("rose", 10, 40), word("rare", 0, 3)]
    [found] = risen((EVERY, words))
    assert (found.word, found.count, found.expected) == ("rose", 120, 30.0)
    assert math.isclose(found.ratio, 125 / 35)
    # Of 240 mentions a fifth is expected to be of late.
    assert math.isclose(found.z, (120 - 48) / math.sqrt(240 * 0.2 * 0.8))


def test_no_word_rises_because_its_publication_publishes_more() -> None:
    """Each is mentioned in as many of a publication's articles as before."""
    more = {month: count * (9 if month >= MONTH + 12 else 1) for month, count in EVERY.items()}
    new = {month: count for month, count in EVERY.items() if month >= MONTH + 12}
    assert risen((more, [word("its own", 10, 90)]), (new, [word("new", 0, 90)])) == []


def test_publications_are_added_up() -> None:
    [found] = risen((EVERY, [word("a", 2, 6)]), (EVERY, [word("a", 2, 6)]))
    assert (found.count, found.expected) == (36, 12.0)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=30))
def test_the_order_is_by_z(rates: list[tuple[int, int]]) -> None:
    found = risen((EVERY, [word(str(i), *rate) for i, rate in enumerate(rates)]))
    assert [each.z for each in found] == sorted((each.z for each in found), reverse=True)
    assert all(each.count >= LEAST and each.ratio >= 1.5 and each.z > 0 for each in found)
