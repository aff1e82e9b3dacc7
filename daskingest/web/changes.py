"""Words that came and went: what rose and fell most from a time's earlier half to its later one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from daskingest.stores import Months
from daskingest.stores.periods import Period, WordMonths
from daskingest.web.keyness import CHANCE, typical_words


@dataclass(frozen=True, slots=True)
class Change:
    """A word, its mentions in the earlier and in the later half, and the z-score of the change,
    which is below zero if it fell."""

    found: WordMonths
    earlier: int
    later: int
    z: float


@dataclass(frozen=True, slots=True)
class Changes:
    """The words that rose and fell most, and the articles that the two halves have.

    The later half begins with the month `half`.
    """

    half: int
    earlier: int
    later: int
    rose: list[Change]
    fell: list[Change]


def half_of(articles: Months) -> int | None:
    """The month that begins the later half: the halves have as many articles as can be.

    None: there are fewer than two months with articles.
    """
    months = sorted(month for month, count in articles.items() if count)
    if len(months) < 2:
        return None
    whole, before = sum(articles.values()), 0
    best: tuple[int, int] | None = None
    for month, following in itertools.pairwise(months):
        before += articles[month]
        difference = abs(whole - 2 * before)
        if best is None or difference < best[0]:
            best = difference, following
    assert best is not None
    return best[1]


def changes_of(words: Sequence[WordMonths], articles: Months, limit: int) -> Changes | None:
    """The words whose share of all these words' mentions changed most, as `typical_words` scores
    it, at most `limit` each way; none whose score is below CHANCE. None: there are no two halves.
    """
    half = half_of(articles)
    if half is None:
        return None
    first = Period(None, half - 1)
    by_word = {each.word.word: each for each in words}
    earlier = {word: sum(first.of(each.months).values()) for word, each in by_word.items()}
    later = {word: each.word.count - earlier[word] for word, each in by_word.items()}
    best = typical_words({"earlier": earlier, "later": later}, limit)

    def changed(of: str, sign: int) -> list[Change]:
        return [
            Change(by_word[each.word], earlier[each.word], later[each.word], sign * each.z)
            for each in best[of]
            if each.z >= CHANCE
        ]

    before = sum(first.of(articles).values())
    after = sum(articles.values()) - before
    return Changes(half, before, after, changed("later", 1), changed("earlier", -1))
