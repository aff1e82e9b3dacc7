"""A stream of counters with the tail of real news: what a store gets, without a text or a model.

Its figures are those of 20,087 real articles, counted: a batch of 1 MiB has some 370 articles and
5,600 counters, 80 merged have 230,000, and 8,000 have 8 million different words of publications.
Distinct words grow with the 0.75th to 0.8th power of the mentions (Heaps' law) however many there
are. Words are as long as real ones, and labels as frequent.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daskingest.counts import Counts, PublicationCounts

ARTICLES = 372
"""Articles in a batch of 1 MiB, on average."""

PUBLICATIONS = 27

_APPEARANCES = 6_400  # of a word in an article, in a batch
_TAIL = 0.745  # words grow with appearances to this power, once there are many
_RANKS = (1, 10, 100, 1_000, 10_000)
_SHARES = (0.008, 0.06, 0.19, 0.44, 0.69)  # of the appearances: the words up to these ranks'
_MOST_RANK = 1e12
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

_LABEL_BITS, _WORD_BITS = 4, 46

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Counters as arrays, sorted. A key is a publication's number, a word and a label."""

    articles: Whole
    """By publication."""
    keys: Whole
    counts: Whole

    @property
    def words(self) -> Whole:
        """The (publication, word) pairs, ascending, each once; a key without its label."""
        return np.unique(self.keys >> _LABEL_BITS)


class Stream:
    """Draws batches, the same for the same seed."""

    def __init__(self, seed: int = 1, publications: int = PUBLICATIONS) -> None:
        self._random = np.random.default_rng(seed)
        self.shares = shares(publications)

    def draw(self, batches: int = 1) -> Drawn:
        """So many batches, merged."""
        articles = self._random.multinomial(ARTICLES * batches, self.shares)
        numbers = self._random.multinomial(_APPEARANCES * batches, self.shares)
        publications = np.repeat(np.arange(len(numbers)), numbers)
        words, labels = self._words(publications)
        times = _TIMES[np.searchsorted(_TIMES_SHARES, self._random.random(len(words)))]
        keys, places = np.unique(
            (publications << _WORD_BITS | words) << _LABEL_BITS | labels, return_inverse=True
        )
        counts = np.bincount(places, times, len(keys)).astype(np.int64)
        return Drawn(articles, keys, counts)

    def _words(self, publications: Whole) -> tuple[Whole, Whole]:
        """A word and a label for each appearance."""
        ranks = self._ranks(len(publications))
        own = np.where(ranks % _OWN == 0, publications + 1, 0)
        words = ranks * 64 + own  # 64: more than there are publications
        kind = (words * 0x9E3779B1 >> 20) & 15
        labels = np.where(ranks < _RANKS[-2], _FREQUENT[kind], _RARE[kind])
        other = self._random.random(len(ranks)) < _OTHER_LABEL
        return words, np.where(other, (labels + 1) % len(LABELS), labels)

    def _ranks(self, number: int) -> Whole:
        """The most frequent word has rank 1. The tail is a power law without an end."""
        drawn = self._random.random(number)
        ranks = np.exp(np.interp(drawn, _SHARES, np.log(_RANKS)))
        tail = drawn > _SHARES[-1]
        rest = (1 - drawn[tail]) / (1 - _SHARES[-1])
        ranks[tail] = _RANKS[-1] * rest ** (-1 / (1 / _TAIL - 1))
        return np.minimum(ranks, _MOST_RANK).astype(np.int64)


def shares(publications: int) -> NDArray[np.float64]:
    """How much of all each publication publishes: an agency a third, the others ever less."""
    sizes: NDArray[np.float64] = 1 / np.arange(1.0, publications + 1)
    sizes[0] *= 2
    sizes /= sizes.sum()
    return sizes


def counts_of(drawn: Drawn) -> Counts:
    """As the saver and the stores take them. All that depends on how Counts keeps them is here."""
    found = Counts()
    publications = drawn.keys >> (_WORD_BITS + _LABEL_BITS)
    bounds = np.searchsorted(publications, np.arange(len(drawn.articles) + 1)).tolist()
    texts = word_texts(drawn.keys >> _LABEL_BITS & ((1 << _WORD_BITS) - 1))
    labels = [LABELS[each] for each in (drawn.keys & ((1 << _LABEL_BITS) - 1)).tolist()]
    counts = drawn.counts.tolist()
    for number, articles in enumerate(drawn.articles.tolist()):
        if articles:
            mine = slice(bounds[number], bounds[number + 1])
            words = dict(
                zip(zip(texts[mine], labels[mine], strict=True), counts[mine], strict=True)
            )
            name = f"Publication {number + 1}"
            found.publications[name.lower()] = PublicationCounts(name, articles, Counter(words))
    return found


def batches(seed: int = 1, publications: int = PUBLICATIONS) -> Iterator[Counts]:
    """Endless batches."""
    stream = Stream(seed, publications)
    while True:
        yield counts_of(stream.draw())


def _parts() -> list[str]:
    """512 different parts of names, of two to seven letters."""
    onsets = ("b", "d", "g", "h", "k", "l", "m", "r")
    rhymes = ("a", "e", "an", "er", "in", "on", "al", "or")
    ends = ("", "a", "ey", "man", "ski", "ton", "burg", "ia")
    return ["".join(each) for each in itertools.product(onsets, rhymes, ends)]


_PARTS = _parts()
_SCRAMBLE = 0x9E3779B1  # odd, so that multiplying by it keeps numbers apart


def word_texts(words: Whole) -> list[str]:
    """Names of words: different ones of different words, longer ones of rarer words."""
    texts = np.empty(len(words), object)
    for parts in range(1, 7):
        low, high = (1 << 9 * (parts - 1)) if parts > 1 else 0, 1 << 9 * parts
        chosen = np.flatnonzero((words >= low) & (words < high))
        numbers = words[chosen].astype(np.uint64) * np.uint64(_SCRAMBLE) % np.uint64(high)
        columns = [
            [_PARTS[each] for each in (numbers >> np.uint64(9 * i) & np.uint64(511)).tolist()]
            for i in range(parts)
        ]
        texts[chosen] = [" ".join(each) for each in zip(*columns, strict=True)]
    found: list[str] = texts.tolist()
    return found
