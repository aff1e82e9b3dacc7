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
_Numbers = NDArray[np.int64]
_ROOM = 2**62  # less than what an int64 has

_WORDS = pa.schema(
    [
        ("publication", pa.int32()),
        ("word", pa.string()),
        ("label", pa.string()),
        ("n", pa.int64()),
        ("spelling", pa.int64()),
    ]
)
_MONTHS = pa.schema(
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
    column of both tables stand for; `words` has a row for each (publication, word, label), and
    `months` one for each (publication, word, month), of articles with a date.
    """

    publications: tuple[PackedPublication, ...] = ()
    words: pa.Table = field(default_factory=_WORDS.empty_table)
    months: pa.Table = field(default_factory=_MONTHS.empty_table)

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
        for number in sorted(
            range(len(self.publications)), key=lambda each: self.publications[each].key
        ):
            yield self.publications[number], labels(number), months(number)


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


def pack(
    publications: Sequence[PackedPublication],
    words: Sequence[Mapping[tuple[str, str], int]],
    months: Sequence[Mapping[tuple[str, int], int]],
    spellings: Sequence[Mapping[str, int]],
) -> PackedCounts:
    """Publications, each with its counts by (word, label) and by (word, month), and the spellings
    of its words."""
    spelt = [
        its.get(word, 0) for each, its in zip(words, spellings, strict=True) for word, _ in each
    ]
    return PackedCounts(
        tuple(publications),
        pa.table([*_columns(words, _WORDS), pa.array(spelt, pa.int64())], schema=_WORDS),
        pa.table(_columns(months, _MONTHS), schema=_MONTHS),
    )


def merged(parts: Sequence[PackedCounts]) -> PackedCounts:
    """The sum of all parts. Of each publication, and each word, the first name is kept.

    The rows are ordered by publication (its number) and word, and of a word as they came first.
    """
    found: dict[str, PackedPublication] = {}
    for each in (each for part in parts for each in part.publications):
        before = found.get(each.key, PackedPublication(each.key, each.name, 0, {}))
        months = Counter(before.months) + Counter(each.months)
        found[each.key] = PackedPublication(
            each.key, before.name, before.articles + each.articles, dict(months)
        )
    numbers = {key: number for number, key in enumerate(found)}
    mine = [np.array([numbers[each.key] for each in part.publications], np.int64) for part in parts]
    return PackedCounts(
        tuple(found.values()),
        _sum([part.words for part in parts], mine, _WORDS),
        _sum([part.months for part in parts], mine, _MONTHS),
    )


def in_order(counts: PackedCounts) -> PackedCounts:
    """The same in the order in which `merged` has it; just looked through if it was merged."""
    words = counts.words["word"]
    numbers = counts.words["publication"].to_numpy()
    follows = pc.less_equal(words.slice(0, max(0, len(words) - 1)), words.slice(1)).to_numpy()
    steps = np.diff(numbers)
    is_ordered = bool(np.all((steps > 0) | (steps == 0) & follows))
    return counts if is_ordered else merged([counts])


def _sum(tables: Sequence[pa.Table], numbers: Sequence[_Numbers], schema: pa.Schema) -> pa.Table:
    """One row for each key, which are the first three columns; ordered by the first two.

    Each word is replaced by its rank, and what is sorted are numbers. Arrow's own `group_by`, with
    a sort after it, copies and compares texts over and over, and takes half as long again.
    """
    some = [(table, mine) for table, mine in zip(tables, numbers, strict=True) if len(table)]
    if not some:
        return schema.empty_table()
    whole = pa.concat_tables([table for table, _ in some])
    publications = np.concatenate([mine[table["publication"].to_numpy()] for table, mine in some])
    (words, word_ranks), (kinds, kind_ranks) = _ranked(whole.column(1)), _ranked(whole.column(2))
    keys = publications * len(words) + word_ranks
    distinct = None
    if int(keys.max()) * len(kinds) >= _ROOM:
        distinct, places = np.unique(keys, return_inverse=True)  # else there is no room
        keys = places.astype(np.int64)
    keys *= len(kinds)
    keys += kind_ranks
    del publications, word_ranks, kind_ranks  # of millions of rows, while more is needed
    order = np.argsort(keys)
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    its_words, its_kinds = np.divmod(keys[starts], len(kinds))
    del keys
    first = np.minimum.reduceat(order, starts)
    n = np.add.reduceat(whole.column(3).to_numpy()[order], starts)
    came = _as_they_came(its_words, first)
    first, n, its_words, its_kinds = first[came], n[came], its_words[came], its_kinds[came]
    its_words = its_words if distinct is None else distinct[its_words]
    numbers_of, ranks = np.divmod(its_words, len(words))
    rows = [numbers_of.astype(np.int32), words.take(pa.array(ranks))]
    rows += [kinds.take(pa.array(its_kinds)), n]
    rows += [each.to_numpy()[first] for each in whole.columns[4:]]
    return pa.table([pa.array(each) for each in rows], schema=schema)


def _as_they_came(words: _Numbers, first: _Numbers) -> _Numbers:
    """The order of rows in which those of each word, which follow each other, are as they came."""
    order, same = np.arange(len(words)), np.diff(words) == 0
    several = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    order[several] = several[np.lexsort((first[several], words[several]))]
    return order


def _ranked(values: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int32]]:
    """The different values in their order, and of each row its value's place among them."""
    encoded = values.dictionary_encode()  # all chunks have the same dictionary
    dictionary = encoded.chunk(0).dictionary
    order = pc.array_sort_indices(dictionary)
    ranks = np.empty(len(order), np.int32)
    ranks[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    indices = np.concatenate([each.indices.to_numpy() for each in encoded.chunks])
    return dictionary.take(order), ranks[indices]


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
    """A table, sorted, and where in it each publication's rows are."""

    def __init__(self, table: pa.Table) -> None:
        order = [(name, "ascending") for name in table.column_names[:3]]
        self._table = table.sort_by(order)
        self._numbers = self._table.column(0).to_numpy()

    def __call__(self, number: int) -> Counters:
        start, end = np.searchsorted(self._numbers, [number, number + 1]).tolist()
        rows = self._table.slice(start, end - start)
        columns = [column.to_pylist() for column in rows.columns[1:]]
        return Counters(*columns, *([],) * (4 - len(columns)))
