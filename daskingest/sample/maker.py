"""Makes articles, a block at a time: sentences of the bundled ones with other names in them."""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from daskingest.counts import SKIPPED_LABELS
from daskingest.sample.learned import Learned
from daskingest.sample.names import Whole, names, ranks, shares
from daskingest.text import word_of

HEADER = (
    "",
    "Unnamed: 0",
    "date",
    "year",
    "month",
    "day",
    "author",
    "title",
    "article",
    "url",
    "section",
    "publication",
)
"""The columns of All-the-News 2.0."""

BLOCK = 1_000
"""Articles that are made together."""

MEDIAN_WORDS = 400
_SPREAD = 0.8  # of the logarithm of the length: one article in 100 has 2,600 words or more
_MIN_WORDS, _MAX_WORDS = 20, 20_000
_PARAGRAPH = 2.5  # sentences
_AGAIN = 0.34  # of the names are the same as the last one of their label in their article
_OWN = 3  # every third name that is made up is another one in each publication
_FIRST_DAY, _DAYS = datetime.date(2016, 1, 1), 1552

_MARKED = (
    *("EVENT", "FAC", "GPE", "LANGUAGE", "LAW", "LOC", "NORP"),
    *("ORG", "PERCENT", "PERSON", "PRODUCT", "QUANTITY", "WORK_OF_ART"),
)
MARKS = {label: chr(0x0E + i) for i, label in enumerate(_MARKED)}
MARK_END = "\x02"
"""What stands before and after a name in marked articles, by its label; no white space."""

_LABEL_BITS, _OWN_BITS, _NAME_BITS = 5, 7, 52
MOST_PUBLICATIONS = (1 << _OWN_BITS) - 1

_OF_ALL = {
    **{"ORG": 0.46, "PERSON": 0.29, "GPE": 0.07, "WORK_OF_ART": 0.03, "QUANTITY": 0.03},
    **{"FAC": 0.024, "LOC": 0.02, "NORP": 0.016, "PRODUCT": 0.014, "LAW": 0.012, "EVENT": 0.01},
}
_LEAST = 0.001
"""A label's share of the different names that there are, as in real news."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows as CSV, and where each one ends, in bytes.

    `keys` are the (publication, name) pairs that count in them, with `counts`; see `Maker.planted`.
    """

    text: bytes
    ends: Sequence[int]
    publications: Whole
    """Of each row."""
    keys: Whole
    counts: Whole


class Maker:
    """Makes blocks, the same for the same seed. `publications`: so many, or those bundled.

    When `marked`, names that count stand between marks, so that they are found without a model.
    """

    def __init__(
        self, learned: Learned, seed: int, publications: int | None = None, marked: bool = False
    ) -> None:
        self.publications = _publications(learned.publications, publications)
        self._learned = learned
        self._seed = seed
        self._marked = marked
        self._counted = np.array([label not in SKIPPED_LABELS for label in learned.labels])
        self._of_all = np.array([_OF_ALL.get(label, _LEAST) for label in learned.labels])
        self._known = np.array([len(each) for each in learned.known])

    def block(self, number: int) -> Block:
        """The rows from number * BLOCK on, BLOCK of them."""
        random = np.random.default_rng([self._seed, number])
        count = len(self.publications)
        publications = random.choice(count, BLOCK, p=shares(count))
        codes, articles = self._codes(random)
        slots = np.flatnonzero(codes < 0)
        drawn = self._names(random, -1 - codes[slots], articles[slots], publications)
        different, places = np.unique(drawn, return_inverse=True)
        pieces = np.array(self._learned.texts, object)[np.maximum(codes, 0)]
        pieces[slots] = np.array(self._texts(different), object)[places]
        ends = np.searchsorted(articles, np.arange(BLOCK), "right").tolist()
        pieces = pieces.tolist()
        texts = ["".join(pieces[a:b]) for a, b in itertools.pairwise((0, *ends))]
        lines = self._lines(random, number, texts, publications)
        counted = self._counted[drawn & ((1 << _LABEL_BITS) - 1)]
        of = publications[articles[slots]][counted]
        keys, counts = np.unique(of << _NAME_BITS | drawn[counted], return_counts=True)
        ends = list(itertools.accumulate(map(len, lines)))
        return Block(b"".join(lines), ends, publications, keys, counts)

    def planted(self, keys: Whole) -> Iterator[tuple[str, str, str]]:
        """The publication, the word and the label of each key of a block."""
        mask = (1 << _NAME_BITS) - 1
        of = (keys >> _NAME_BITS).tolist()
        labels = (keys & ((1 << _LABEL_BITS) - 1)).tolist()
        for publication, text, label in zip(of, self._plain(keys & mask), labels, strict=True):
            yield self.publications[publication], word_of(text), self._learned.labels[label]

    def _codes(self, random: np.random.Generator) -> tuple[Whole, Whole]:
        """The codes of a block's articles in turn, and of each code its article."""
        its = self._learned
        lengths = random.lognormal(math.log(MEDIAN_WORDS), _SPREAD, BLOCK)
        until = np.cumsum(np.clip(lengths, _MIN_WORDS, _MAX_WORDS))
        enough = int(1.1 * until[-1] / (its.weights @ its.text_words)) + BLOCK
        chosen = random.choice(len(its.weights), enough, p=its.weights)
        ends = np.searchsorted(np.cumsum(its.text_words[chosen]), until) + 1
        own = np.arange(BLOCK)
        ends = np.maximum.accumulate(ends - own) + own  # each article has a sentence
        chosen = chosen[: ends[-1]]
        pieces: Whole = np.diff(its.bounds)[chosen]
        firsts = np.cumsum(pieces) - pieces
        places = np.arange(pieces.sum()) + np.repeat(its.bounds[chosen] - firsts, pieces)
        codes: Whole = its.codes[places]
        codes[firsts] = 1 + (random.random(len(firsts)) < 1 / _PARAGRAPH)
        codes[firsts[np.concatenate(([0], ends[:-1]))]] = 0
        articles = np.repeat(own, np.diff(ends, prepend=0))
        return codes, np.repeat(articles, pieces)

    def _names(
        self, random: np.random.Generator, labels: Whole, articles: Whole, publications: Whole
    ) -> Whole:
        """A name for each of these labels, in these articles."""
        any_one = (random.random(len(labels)) * self._known[labels]).astype(np.int64)
        rank = (ranks(random, len(labels)) * self._of_all[labels]).astype(np.int64)
        rank = np.where(self._counted[labels], rank, any_one)
        own = (rank % _OWN == 0) & (rank >= self._known[labels])
        whose = np.where(own, publications[articles] + 1, 0)
        drawn: Whole = (rank << _OWN_BITS | whose) << _LABEL_BITS | labels
        order = np.lexsort((labels, articles))
        same = np.diff(articles[order] << _LABEL_BITS | labels[order], prepend=-1) == 0
        again = same & (random.random(len(labels)) < _AGAIN)
        drawn[order] = drawn[order][
            np.maximum.accumulate(np.where(again, 0, np.arange(len(again))))
        ]
        return drawn

    def _texts(self, drawn: Whole) -> list[str]:
        """Names as they stand in an article."""
        plain = self._plain(drawn)
        if not self._marked:
            return plain
        marks = [MARKS.get(label, "") for label in self._learned.labels]
        labels = (drawn & ((1 << _LABEL_BITS) - 1)).tolist()
        return [
            f"{mark}{text}{MARK_END}" if (mark := marks[label]) else text
            for label, text in zip(labels, plain, strict=True)
        ]

    def _plain(self, drawn: Whole) -> list[str]:
        labels = drawn & ((1 << _LABEL_BITS) - 1)
        whose, rank = drawn >> _LABEL_BITS, drawn >> (_LABEL_BITS + _OWN_BITS)
        shared = whose & MOST_PUBLICATIONS == 0
        numbers = np.where(shared, 2 * rank, 2 * whose + 1) * len(self._known) + labels
        texts = np.array([each.title() for each in names(numbers)], object)
        known = np.flatnonzero(rank < self._known[labels])
        pairs = zip(labels[known].tolist(), rank[known].tolist(), strict=True)
        texts[known] = [self._learned.known[label][i] for label, i in pairs]
        found: list[str] = texts.tolist()
        return found

    def _lines(
        self,
        random: np.random.Generator,
        number: int,
        texts: Sequence[str],
        publications: Whole,
    ) -> list[bytes]:
        """Rows, marked as made up in `author`, `title`, `url` and `section`."""
        titles = [_quoted(f"[made up] {title}") for title in self._learned.titles]
        of = [_quoted(name) for name in self.publications]
        chosen = random.integers(len(titles), size=BLOCK).tolist()
        days = random.integers(_DAYS, size=BLOCK).tolist()
        lines = []
        for i, text in enumerate(texts):
            row, date = number * BLOCK + i, _FIRST_DAY + datetime.timedelta(days=days[i])
            when = f"{date},{date.year},{date.month}.0,{date.day}"
            before = f"{row},{row},{when},daskingest sample,{titles[chosen[i]]}"
            after = f"https://sample.invalid/{row},made up,{of[publications[i]]}"
            lines.append(f"{before},{_quoted(text)},{after}\n".encode())
        return lines


def _quoted(text: str) -> str:
    """A field of CSV. The csv module looks at each character, which takes half of all the time."""
    return '"' + text.replace('"', '""') + '"'


def _publications(known: Sequence[str], number: int | None) -> list[str]:
    """So many names, those that are known first."""
    made_up = (f"The {name.title()} Times" for name in names(np.arange(1, MOST_PUBLICATIONS) << 9))
    return [*known, *made_up][: len(known) if number is None else number]
