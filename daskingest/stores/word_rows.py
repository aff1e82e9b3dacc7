"""Counts as rows for stores in SQL: one for each word and label, and the word's months as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskingest.packed import PackedCounts


def with_months(counts: PackedCounts) -> pa.Table:
    """The words' rows, each word's months in the first of them, as text. Words that have nothing
    but months have a row without a label, which counts nothing."""
    words, months = counts.words, counts.months
    if not len(months):
        return words.append_column("months", pa.nulls(len(words), pa.string()))
    mine, theirs = _keys(words, months)
    order = np.lexsort((months["month"].to_numpy(), theirs))
    theirs, months = theirs[order], months.take(order)
    starts = np.flatnonzero(np.diff(theirs, prepend=-1))
    texts = _texts(months, starts)
    keys, first = np.unique(mine, return_index=True)
    at = np.searchsorted(keys, theirs[starts])
    known = np.append(keys, -1)[at] == theirs[starts]
    places = np.full(len(words), len(texts))
    places[first[at[known]]] = np.flatnonzero(known)
    texts = pa.concat_arrays([texts, pa.nulls(1, pa.string())])
    words = words.append_column("months", texts.take(pa.array(places)))
    alone = months.select(["publication", "word"]).take(starts[~known])
    for name in ("n", "spelling"):
        alone = alone.append_column(name, pa.array(np.zeros(len(alone), np.int64)))
    alone = alone.append_column("months", texts.take(pa.array(np.flatnonzero(~known))))
    return pa.concat_tables([words, alone], promote_options="default")


def _texts(months: pa.Table, starts: Any) -> pa.Array:
    """The months of each word, whose rows begin there, as they are kept: `[month, count]`,
    separated by commas."""
    month, count = (pc.cast(months[name], pa.string()) for name in ("month", "n"))
    texts = pc.binary_join_element_wise("[", month, ",", count, "]", "").combine_chunks()
    bounds = pa.array(np.append(starts, len(months)), pa.int32())
    return pc.binary_join(pa.ListArray.from_arrays(bounds, texts), ",")


def _keys(words: pa.Table, months: pa.Table) -> tuple[Any, Any]:
    """For each row of both a number that tells its publication and its word."""
    texts = pa.chunked_array([*words["word"].chunks, *months["word"].chunks], pa.string())
    numbers = texts.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    publications = [each["publication"].to_numpy().astype(np.int64) for each in (words, months)]
    keys = np.concatenate(publications) << 32 | numbers
    return keys[: len(words)], keys[len(words) :]
