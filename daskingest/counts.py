"""Counts by publication: the results of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from daskingest.articles import publication_key
from daskingest.packed import MONTHS, WORDS, PackedCounts, PackedPublication
from daskingest.spelling import LONGEST, spelling_of

SKIPPED_LABELS = frozenset({"CARDINAL", "MONEY", "ORDINAL", "DATE", "TIME"})
"""Labels that are not counted: numbers and dates tell little about a publication."""

_Numbers = NDArray[np.int64]


@dataclass(slots=True)
class ArticleCounts:
    """How many articles a publication has, in total and by month, of those with a date.

    `number` is its own: publications are numbered as they come. A month's is counted from January
    1970, which is 0.
    """

    name: str
    number: int
    articles: int = 0
    months: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Counts:
    """Counts by publication key, article by article.

    What they mention is only noted, as numbers, and counted when it is packed, in columns: with a
    Python object for each counter that took half as long again.
    """

    publications: dict[str, ArticleCounts] = field(default_factory=dict)
    _entities: dict[tuple[str, str], int] = field(default_factory=dict)  # numbered as they come
    _mentions: list[int] = field(default_factory=list)  # of entities, by number
    # Each article's publication, month, and number of mentions.
    _articles: list[tuple[int, int | None, int]] = field(default_factory=list)

    def add_article(
        self, publication: str, entities: Iterable[tuple[str, str]], month: int | None = None
    ) -> None:
        """Count one article of `publication` (a display name) with its entities: (name, label).

        Of a publication, and of each word in it, the first name is kept.
        """
        key = publication_key(publication)
        mine = self.publications.get(key)
        if mine is None:
            mine = self.publications[key] = ArticleCounts(publication, len(self.publications))
        mine.articles += 1
        if month is not None:
            mine.months[month] += 1
        known = self._entities
        mentions = [known.setdefault(entity, len(known)) for entity in entities]
        self._mentions += mentions
        self._articles.append((mine.number, month, len(mentions)))

    def packed(self) -> PackedCounts:
        """The same counts as they travel and are stored. Raises UnicodeEncodeError."""
        if not self._articles:
            return PackedCounts()
        publications = sorted(self.publications.items())
        places = np.argsort([each.number for _, each in publications])
        numbers, months, sizes = zip(*self._articles, strict=True)
        mentioning = np.repeat(places[list(numbers)], sizes)
        dated = np.flatnonzero(np.repeat([month is not None for month in months], sizes))
        known, its_month = np.unique([month or 0 for month in months], return_inverse=True)
        in_months = _Column(pa.array(known, pa.int32()), np.repeat(its_month, sizes))

        mentions = np.array(self._mentions, int)
        names = [name for name, _ in self._entities]
        lower = [name.lower() for name in names]
        words = _in_order(lower).at(mentions)
        labels = _coded([label for _, label in self._entities]).at(mentions)
        by_label, first = _counted(mentioning, words, labels)
        by_month, _ = _counted(mentioning[dated], words.at(dated), in_months.at(dated))
        spellings = pa.array(_spellings(names, lower)[mentions[first]])
        return PackedCounts(
            tuple(
                PackedPublication(key, each.name, each.articles, dict(each.months))
                for key, each in publications
            ),
            pa.table([*by_label, spellings], schema=WORDS),
            pa.table(by_month, schema=MONTHS),
        )


class _Column(NamedTuple):
    """The different values in a column, and which of them its rows have."""

    values: pa.Array
    codes: _Numbers

    def at(self, rows: _Numbers) -> _Column:
        """Some of its rows."""
        return _Column(self.values, self.codes[rows])

    def array(self) -> pa.Array:
        """What its rows have."""
        return self.values.take(pa.array(self.codes))


def _coded(texts: Sequence[str]) -> _Column:
    coded = pa.array(texts, pa.string()).dictionary_encode()
    return _Column(coded.dictionary, coded.indices.to_numpy())


def _in_order(texts: Sequence[str]) -> _Column:
    """A column whose values are in order."""
    values, codes = _coded(texts)
    order = pc.sort_indices(values)
    return _Column(values.take(order), np.argsort(order)[codes])


def _counted(
    publications: _Numbers, words: _Column, kinds: _Column
) -> tuple[list[pa.Array], _Numbers]:
    """How often each word and kind is mentioned by each publication.

    Returns columns ordered by publication and word, and of a word as they came first; and for each
    row which mention of the word was the publication's first.
    """
    groups = publications * len(words.values) + words.codes
    keys = groups * len(kinds.values) + kinds.codes
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    places = np.cumsum(np.diff(groups[first], prepend=-1) != 0)  # small ones: products have room
    order = np.argsort(places * len(groups) + first)
    rows = first[order]
    begins = np.flatnonzero(np.diff(groups[rows], prepend=-1))
    by = publications[rows].astype(np.int32)
    columns = [by, words.at(rows).array(), kinds.at(rows).array(), counts[order]]
    return columns, np.repeat(rows[begins], np.diff(begins, append=len(rows)))


def _spellings(names: Sequence[str], words: Sequence[str]) -> _Numbers:
    """Each name's `spelling_of`: of those in ASCII, which nearly all are, at once.

    It is here because who only reads loads `spelling`, and not numpy.
    """
    plain = [name if name.isascii() else "" for name in names]
    letters = np.frombuffer("".join(plain).encode(), np.uint8)
    lengths = np.array([*map(len, plain)], int)
    capitals = np.flatnonzero((letters >= ord("A")) & (letters <= ord("Z")))
    of = np.repeat(np.arange(len(names)), lengths)[capitals]
    at = capitals - (np.cumsum(lengths) - lengths)[of]
    bits = np.zeros(len(names), np.int64)
    np.add.at(bits, of[at < LONGEST], np.left_shift(1, at[at < LONGEST]))
    for i in np.flatnonzero(lengths == 0).tolist():
        bits[i] = spelling_of(names[i], words[i])
    return bits
