"""Counts as rows for stores in SQL: one for each word and label, and the word's months as text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskingest.packed import PackedCounts


def with_months(counts: PackedCounts) -> pa.Table:
    """The words' rows, each word's months in the first of them, as text. Words that have nothing
    but months have a row without a label, which counts nothing."""
    if not len(counts.months):
        return counts.words.append_column("months", pa.nulls(len(counts.words), pa.string()))
    words, months = counts.words, _texts(counts.months)
    first = pc.index_in(_keys(months), value_set=_keys(words))
    known = first.is_valid()
    places = np.full(len(words), len(months))
    places[first.drop_null().to_numpy()] = np.flatnonzero(known)
    texts = pa.concat_arrays([months["months"].combine_chunks(), pa.nulls(1, pa.string())])
    words = words.append_column("months", texts.take(pa.array(places)))
    alone = months.filter(pc.invert(known))
    for name in ("n", "spelling"):
        alone = alone.append_column(name, pa.array(np.zeros(len(alone), np.int64)))
    return pa.concat_tables([words, alone], promote_options="default")


def _texts(months: pa.Table) -> pa.Table:
    """Each word's months, as they are kept: `[month, count]`, separated by commas."""
    months = months.sort_by([(name, "ascending") for name in ("publication", "word", "month")])
    month, count = (pc.cast(months[name], pa.string()) for name in ("month", "n"))
    texts = pc.binary_join_element_wise("[", month, ",", count, "]", "").combine_chunks()
    words = _keys(months).dictionary_encode().indices.to_numpy()
    starts = np.flatnonzero(np.diff(words, prepend=-1))
    bounds = pa.array(np.append(starts, len(words)), pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(bounds, texts), ",")
    return months.select(["publication", "word"]).take(starts).append_column("months", joined)


def _keys(rows: pa.Table) -> pa.Array:
    """A text for each row that tells its publication and its word."""
    number = pc.cast(rows["publication"], pa.string())
    return pc.binary_join_element_wise(number, rows["word"], " ").combine_chunks()
