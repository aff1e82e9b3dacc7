"""Counts in columns: how they travel from the workers, wait in the saver, and reach the stores.

Millions of counters are merged and sorted in this form without an object for each of them, which
takes a small part of the time and memory, and keeps no other thread from running.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_PUBLICATION, _ITS_MONTH = 500, 100  # bytes, as objects
_CODEC = pa.Codec("zstd")

WORDS = pa.schema(
    [
        ("publication", pa.int32()),
        ("word", pa.string()),
        ("label", pa.string()),
        ("n", pa.int64()),
        ("spelling", pa.int64()),
    ]
)
MONTHS = pa.schema(
    [("publication", pa.int32()), ("word", pa.string()), ("month", pa.int32()), ("n", pa.int64())]
)


class PackedPublication(NamedTuple):
    """A publication, and its number of articles in total and by month (of those with a date)."""

    key: str
    name: str
    articles: int
    months: Mapping[int, int]


class Counters(NamedTuple):
    """One publication's, in parallel lists, ordered by word. `kinds` are labels or months.

    Those by label have the words' spellings, too, see `spelling_of`.
    """

    words: list[str]
    kinds: list[Any]
    counts: list[int]
    spellings: list[int]


@dataclass(frozen=True, slots=True)
class PackedCounts:
    """The counts of a batch, or of several. `publications` says what the numbers in the first
    column of both tables stand for, by key; `words` has a row for each (publication, word, label),
    and `months` one for each (publication, word, month), of articles with a date. Rows are ordered
    by publication and word, and of a word as they came first.
    """

    publications: tuple[PackedPublication, ...] = ()
    words: pa.Table = field(default_factory=WORDS.empty_table)
    months: pa.Table = field(default_factory=MONTHS.empty_table)

    @property
    def size(self) -> int:
        """The number of counters, which determines the size of a commit."""
        return len(self.publications) + len(self.words)

    @property
    def nbytes(self) -> int:
        """About what they take in memory."""
        months = sum(len(each.months) for each in self.publications)
        objects = _PUBLICATION * len(self.publications) + _ITS_MONTH * months
        return int(self.words.nbytes + self.months.nbytes + objects)

    def by_publication(self) -> Iterator[tuple[PackedPublication, Counters, Counters]]:
        """Each publication, by key, with its counters by label and by month."""
        labels, months = _ByPublication(self.words), _ByPublication(self.months)
        for number, each in enumerate(self.publications):
            yield each, labels(number), months(number)


@dataclass(frozen=True, slots=True)
class CompressedCounts:
    """Counts as they travel and wait, in a quarter of the memory. `size` and `nbytes` are what
    `PackedCounts` has.
    """

    size: int = 0
    nbytes: int = 0
    data: bytes = b""
    _length: int = 0  # of the data, decompressed

    @classmethod
    def of(cls, counts: PackedCounts) -> CompressedCounts:
        """They lose nothing."""
        plain = pickle.dumps(counts, pickle.HIGHEST_PROTOCOL)
        data = _CODEC.compress(plain, asbytes=True)
        return cls(counts.size, counts.nbytes, data, len(plain))

    def decompressed(self) -> PackedCounts:
        """What they were made of."""
        if not self.data:
            return PackedCounts()
        counts: PackedCounts = pickle.loads(_CODEC.decompress(self.data, self._length))
        return counts


@dataclass(slots=True)
class PublicationCounts:
    """One publication's number of articles, and how often each (word, label) occurred.

    `spellings` says how words are written, those that have capitals, where they came first.

    `article_months` and `months` have the same of articles with a date, the latter by (word,
    month). A month is its number, counted from January 1970, which is 0.
    """

    name: str
    articles: int = 0
    words: Counter[tuple[str, str]] = field(default_factory=Counter)
    article_months: Counter[int] = field(default_factory=Counter)
    months: Counter[tuple[str, int]] = field(default_factory=Counter)
    spellings: dict[str, int] = field(default_factory=dict)


def pack(publications: Mapping[str, PublicationCounts]) -> PackedCounts:
    """The same counts, of publications by key."""
    ordered = sorted(publications.items())
    several = [each for _, each in ordered]
    spelt = [each.spellings.get(word, 0) for each in several for word, _ in each.words]
    words = _columns([each.words for each in several], WORDS)
    months = _columns([each.months for each in several], MONTHS)
    return PackedCounts(
        tuple(
            PackedPublication(key, each.name, each.articles, dict(each.article_months))
            for key, each in ordered
        ),
        _in_order([*words, pa.array(spelt, pa.int64())], WORDS),
        _in_order(months, MONTHS),
    )


def _in_order(columns: Sequence[pa.Array], schema: pa.Schema) -> pa.Table:
    table = pa.table(columns, schema=schema)
    order = [(name, "ascending") for name in schema.names[:2]]
    return table.take(pc.sort_indices(table, order))  # it keeps the order of what is equal


def merged(parts: Sequence[PackedCounts]) -> PackedCounts:
    """The sum of all parts. Of each publication, and each word, the first name is kept."""
    several = [part for part in parts if part.publications]
    if len(several) < 2:
        return several[0] if several else PackedCounts()
    publications = _united([each for part in several for each in part.publications])
    numbers = {each.key: number for number, each in enumerate(publications)}
    mine = [
        np.array([numbers[each.key] for each in part.publications], np.int32) for part in several
    ]
    return PackedCounts(
        publications,
        _sum([part.words for part in several], mine, WORDS),
        _sum([part.months for part in several], mine, MONTHS),
    )


def _united(several: Sequence[PackedPublication]) -> tuple[PackedPublication, ...]:
    """One for each key, by key."""
    names: dict[str, str] = {}
    articles = Counter[str]()
    months: dict[str, Counter[int]] = {}
    for key, name, its_articles, its_months in several:
        names.setdefault(key, name)
        articles[key] += its_articles
        if its_months:
            months.setdefault(key, Counter()).update(its_months)
    return tuple(
        PackedPublication(key, names[key], articles[key], dict(months.get(key, {})))
        for key in sorted(names)
    )


def _sum(
    tables: Sequence[pa.Table], numbers: Sequence[NDArray[np.int32]], schema: pa.Schema
) -> pa.Table:
    """One row for each key, which are the first three columns."""
    from daskingest import merging  # with numba, which who only reads need not load

    some = [(table, mine) for table, mine in zip(tables, numbers, strict=True) if len(table)]
    if not some:
        return schema.empty_table()
    parts = [[_array(column) for column in table.columns] for table, _ in some]
    coded = pa.chunked_array([kinds for _, _, kinds, *_ in parts]).dictionary_encode()
    whole = merging.merged(
        [
            merging.rows_of(
                mine[publications.to_numpy()],
                words,
                chunk.indices.to_numpy(),
                *(each.to_numpy() for each in counts),
            )
            for (_, mine), (publications, words, _, *counts), chunk in zip(
                some, parts, coded.chunks, strict=True
            )
        ]
    )
    kinds = coded.chunk(0).dictionary.take(pa.array(whole.kinds))
    columns = [whole.publications, merging.words_of(whole), kinds, whole.counts, whole.spellings]
    return pa.table([pa.array(each) for each in columns[: len(schema)]], schema=schema)


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _columns(counts: Sequence[Mapping[tuple[str, Any], int]], schema: pa.Schema) -> list[pa.Array]:
    """The first four columns of a table."""
    sizes = [len(each) for each in counts]
    keys = [key for each in counts for key in each]
    columns = (
        np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        [word for word, _ in keys],
        [kind for _, kind in keys],
        [n for each in counts for n in each.values()],
    )
    return [pa.array(column, of.type) for column, of in zip(columns, schema, strict=False)]


class _ByPublication:
    """Where in a table each publication's rows are."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._numbers = table.column(0).to_numpy()

    def __call__(self, number: int) -> Counters:
        start, end = np.searchsorted(self._numbers, [number, number + 1]).tolist()
        rows = self._table.slice(start, end - start)
        columns = [column.to_pylist() for column in rows.columns[1:]]
        return Counters(*columns, *([],) * (4 - len(columns)))
