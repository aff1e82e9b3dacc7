"""A stream of counters with the tail of real news: what a store gets, without a text or a model.

Its figures are those of 20,087 real articles, counted: a batch of 1 MiB has some 370 articles and
5,600 counters, 80 merged have 230,000, and 8,000 have 8 million different words of publications.
Distinct words grow with the 0.75th to 0.8th power of the mentions (Heaps' law) however many there
are. Words are as long as real ones, and labels as frequent.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daskingest.packed import PackedCounts, PublicationCounts, pack
from daskingest.sample.names import FREQUENT_RANK, Whole, names, ranks, shares
from daskingest.shards import shard_of_publication

ARTICLES = 372
"""Articles in a batch of 1 MiB, on average."""

PUBLICATIONS = 27

_APPEARANCES = 6_400  # of a word in an article, in a batch
_OWN = 3  # every third rank is another word in each publication
_OTHER_LABEL = 0.05  # of the appearances have not the label that the word has usually

_TIMES = np.array([1, 2, 3, 4, 5, 6, 7, 12], np.int32)
_TIMES_SHARES = np.cumsum([0.784, 0.115, 0.043, 0.022, 0.013, 0.007, 0.005])
"""How often a word occurs in an article that it occurs in."""

LABELS = (
    *("ORG", "PERSON", "GPE", "NORP", "LOC", "PERCENT", "WORK_OF_ART"),
    *("QUANTITY", "FAC", "LAW", "EVENT", "PRODUCT", "LANGUAGE"),
)
_FREQUENT = np.array([2, 0, 2, 1, 3, 2, 0, 1, 3, 2, 0, 4, 2, 1, 5, 0], np.int64)
_RARE = np.array([0, 1, 0, 1, 0, 2, 0, 1, 7, 0, 6, 0, 1, 8, 0, 1], np.int64)
"""Labels of frequent and of rare words, each for a sixteenth of them."""

_LABEL_BITS, _WORD_BITS, _MONTH_BITS = 4, 46, 6
_SPELLING = 0b1_0000_0001  # as of `Some Name`; those of most names take two bytes
_FIRST_MONTH, MONTHS = 46 * 12, 60  # since January 1970: five years, from 2016 on


@dataclass(frozen=True, slots=True)
class Drawn:
    """Counters as arrays, sorted. A key is a publication's number, a word and a label, or a month
    in the place of the label."""

    articles: Whole
    """By publication."""
    keys: Whole
    counts: Whole
    month_keys: Whole
    month_counts: Whole

    @property
    def words(self) -> Whole:
        """The (publication, word) pairs, ascending, each once; a key without its label."""
        return np.unique(self.keys >> _LABEL_BITS)


class Stream:
    """Draws batches, the same for the same seed. If they are `dated` they have counts by month.

    At most 2,000 publications.
    """

    def __init__(
        self, seed: int = 1, publications: int = PUBLICATIONS, dated: bool = False
    ) -> None:
        self._dated = dated
        self._random = np.random.default_rng(seed)
        self.shares = shares(publications)
        self._room = max(64, 1 << publications.bit_length())  # for a word's own publication

    def draw(self, batches: int = 1) -> Drawn:
        """So many batches, merged."""
        articles = self._random.multinomial(ARTICLES * batches, self.shares)
        numbers = self._random.multinomial(_APPEARANCES * batches, self.shares)
        publications = np.repeat(np.arange(len(numbers)), numbers)
        words, labels = self._words(publications)
        times = _TIMES[np.searchsorted(_TIMES_SHARES, self._random.random(len(words)))]
        words |= publications << _WORD_BITS
        keys, counts = _summed(words << _LABEL_BITS | labels, times)
        dated = len(words) if self._dated else 0
        months = self._random.integers(MONTHS, size=dated)
        by_month = _summed(words[:dated] << _MONTH_BITS | months, times[:dated])
        return Drawn(articles, keys, counts, *by_month)

    def _words(self, publications: Whole) -> tuple[Whole, Whole]:
        """A word and a label for each appearance."""
        rank = ranks(self._random, len(publications))
        own = np.where(rank % _OWN == 0, publications + 1, 0)
        words = rank * self._room + own
        kind = (words * 0x9E3779B1 >> 20) & 15
        labels = np.where(rank < FREQUENT_RANK, _FREQUENT[kind], _RARE[kind])
        other = self._random.random(len(rank)) < _OTHER_LABEL
        return words, np.where(other, (labels + 1) % len(LABELS), labels)


def _summed(keys: Whole, counts: NDArray[np.int32]) -> tuple[Whole, Whole]:
    """Each key once, ascending, with the sum of its counts."""
    found, places = np.unique(keys, return_inverse=True)
    return found, np.bincount(places, counts, len(found)).astype(np.int64)


def counts_of(drawn: Drawn) -> PackedCounts:
    """As the saver and the stores take them."""
    return shards_of(drawn, 1)[0]


def shards_of(drawn: Drawn, number: int) -> list[PackedCounts]:
    """As savers in number take them."""
    shards: list[dict[str, PublicationCounts]] = [{} for _ in range(number)]
    labels = _by_publication(drawn.keys, drawn.counts, _LABEL_BITS, len(drawn.articles))
    months = _by_publication(drawn.month_keys, drawn.month_counts, _MONTH_BITS, len(labels))
    for place, articles in enumerate(drawn.articles.tolist()):
        if articles:
            name = f"Publication {place + 1}"
            mine = PublicationCounts(name, articles)
            mine.words.update({(word, LABELS[at]): n for word, at, n in labels[place]})
            mine.months.update({(word, _FIRST_MONTH + at): n for word, at, n in months[place]})
            mine.spellings.update((word, _SPELLING) for word, _, _ in labels[place])
            if months[place]:
                mine.article_months.update(_spread(articles))
            shards[shard_of_publication(name, number)][name.lower()] = mine
    return [*map(pack, shards)]


def _spread(articles: int) -> dict[int, int]:
    """So many articles, by month: as many in each, and the rest in the first ones."""
    whole, rest = divmod(articles, MONTHS)
    months = {_FIRST_MONTH + at: whole + (at < rest) for at in range(MONTHS)}
    return {month: count for month, count in months.items() if count}


def _by_publication(
    keys: Whole, counts: Whole, bits: int, publications: int
) -> list[list[tuple[str, int, int]]]:
    """Each publication's words, each with what the lowest bits of its key say, and its count."""
    places = np.arange(publications + 1)
    bounds = np.searchsorted(keys >> (_WORD_BITS + bits), places).tolist()
    texts = names(keys >> bits & ((1 << _WORD_BITS) - 1))
    whole = list(zip(texts, (keys & ((1 << bits) - 1)).tolist(), counts.tolist(), strict=True))
    return [whole[a:b] for a, b in itertools.pairwise(bounds)]


def batches(
    seed: int = 1, publications: int = PUBLICATIONS, dated: bool = False
) -> Iterator[PackedCounts]:
    """Endless batches."""
    stream = Stream(seed, publications, dated)
    while True:
        yield counts_of(stream.draw())
