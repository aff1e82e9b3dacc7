"""The hash embeddings of token types, as spaCy's layers compute them, with a few calls.

thinc calls some ten functions for each attribute, which for the few types that are new in some
texts takes several times as long as what is computed for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from spacy.attrs import intify_attr

from daskingest.compiling import compiled
from daskingest.recognizer.arrays import Attributes, Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thinc.api import Model

_LAYERS = ("extract_features", "list2ragged")


class HashEmbeddings:
    """The hash embeddings of some attributes; equal to what their layers compute, to the last bit.

    `attributes` are those of the columns that it is called with.
    """

    def __init__(self, layers: Sequence[Model[Any, Any]], attributes: Sequence[int]) -> None:
        extracted = [intify_attr(each) for each in layers[0].attrs["columns"]]
        self._parts = []
        for each in layers[2].layers[0].layers:
            column, embed = each.layers
            attribute = extracted[column.attrs["index"][1]]
            self._parts.append((attributes.index(attribute), embed))

    @staticmethod
    def are(layers: Sequence[Model[Any, Any]]) -> bool:
        """Whether the layers are nothing but hash embeddings, each of one attribute."""
        if tuple(each.name for each in layers[:2]) != _LAYERS or len(layers) != 3:
            return False
        parts = [[part.name for part in each.layers] for each in layers[2].layers[0].layers]
        return parts == [["ints-getitem", "hashembed"]] * len(parts)

    def __call__(self, rows: Attributes) -> Floats:
        tables: list[Any] = [embed.get_param("E") for _, embed in self._parts]
        out = np.zeros((len(rows), sum(table.shape[1] for table in tables)), np.float32)
        at = 0
        for (column, embed), table in zip(self._parts, tables, strict=True):
            ids: Any = np.ascontiguousarray(rows[:, column])
            keys: Any = embed.ops.hash(ids, embed.attrs["seed"]) % len(table)
            _add_rows(table, keys, out, at)
            at += table.shape[1]
        return out


@compiled
def _add_rows(table: Floats, keys: NDArray[np.uint32], out: Floats, at: int) -> None:
    """Add to each row of `out`, from column `at` on, the rows of the table that its keys name."""
    width = table.shape[1]
    for row in range(len(keys)):
        sums = out[row, at : at + width]
        for key in range(keys.shape[1]):
            added = table[np.intp(keys[row, key])]
            for column in range(width):
                sums[column] += added[column]
