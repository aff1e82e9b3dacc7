"""Embeds token types: the part of a model's `Tok2Vec` that looks at each token alone.

The result depends only on a few of the token's attributes, so it is computed once for each distinct
row of them (a *type*), and kept in a table. What it is mixed of, spaCy's own layers look up, or
`hashed` where it is hash embeddings alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from spacy.attrs import ORTH, intify_attr

from daskingest.recognizer.arrays import Attributes, Floats, Ints, aligned_zeros
from daskingest.recognizer.hashed import HashEmbeddings
from daskingest.recognizer.lookup import Numbers, with_room
from daskingest.recognizer.vectors import whole_vectors

if TYPE_CHECKING:
    from spacy.vocab import Vocab
    from thinc.api import Model

MAX_TYPES = 200_000
"""Types that are remembered before all are forgotten, at about 200 bytes each."""

TABLE_ROWS = 32_768
"""Types whose embeddings are kept, at 4 KB each for a width of 96, 3 pieces and a window of 1."""


_STAYS = 300
"""The calls by which a type that was used again is kept for longer: most are never."""


class Unsupported(Exception):
    """The model can't be computed here; the message says why."""


class TokenTypes:
    """Numbers for token types: each distinct row of attributes gets one, from 1.

    Number 0 is padding.
    """

    def __init__(self, width: int) -> None:
        self._numbers = Numbers()
        self._attributes = np.zeros((1024, width), np.uint64)
        mixers = np.random.default_rng(0).integers(2**63, size=width, dtype=np.uint64)
        self._mixers = mixers * np.uint64(2) + np.uint64(1)  # odd, so that no bits are lost

    def __len__(self) -> int:
        return len(self._numbers) + 1

    def number(self, attributes: Attributes) -> Ints:
        """Each row's type. Rows are distinguished by a 64-bit hash, as strings are in spaCy."""
        keys = (attributes * self._mixers).sum(axis=1, dtype=np.uint64)
        keys ^= keys >> np.uint64(32)  # the low bits, too, depend on all of them
        numbers = self._numbers.of(keys)
        new = np.flatnonzero(numbers < 0)
        if len(new):
            fresh, first = np.unique(keys[new], return_index=True)
            known = len(self)
            self._numbers.add(fresh)
            self._attributes = with_room(self._attributes, len(self))
            self._attributes[known : len(self)] = attributes[new[first]]
            numbers[new] = self._numbers.of(keys[new])
        return (numbers + 1).astype(np.int32)

    def attributes(self, numbers: Ints) -> Attributes:
        return self._attributes[numbers]


class EmbeddingTable:
    """Embeddings of recently used types, and their products with the first layer's weights.

    `products` are (rows, window, pieces, width rounded up to whole vectors), by the type's position
    in the layer's window. Summed over neighbouring types, they are the layer's product. Row 0 is
    padding.
    """

    def __init__(
        self, embed: Model[Any, Any], vocab: Vocab, mix: Callable[[Floats], Floats], weights: Floats
    ) -> None:
        """`mix` computes the embedding's last layer, of the rows that all before it result in.

        `weights` are the first convolution's: (pieces, width, window * width).
        """
        self.columns = attributes_of(embed, vocab)
        self._features, self._vocab, self._mix = embed.layers[:-2], vocab, mix
        hashed = HashEmbeddings.are(self._features)
        self._hashed = HashEmbeddings(self._features, self.columns) if hashed else None
        pieces, width, inputs = weights.shape
        window = inputs // width
        by_place = weights.reshape(pieces, width, window, width).transpose(3, 2, 0, 1)
        self._weights = by_place.reshape(width, -1)
        self.embedded = aligned_zeros(TABLE_ROWS, width)
        self.products = aligned_zeros(TABLE_ROWS, window, pieces, whole_vectors(width))
        self._types = np.zeros(TABLE_ROWS, np.int32)  # by row
        self._kept_for = np.zeros(TABLE_ROWS, np.int64)  # by row; the lowest is forgotten first
        self.clear()

    def clear(self) -> None:
        self._rows = np.zeros(1, np.int32)  # by type; -1 for types that have none
        self._free = np.arange(1, TABLE_ROWS)
        self._types[:] = 0
        self._clock = 0

    def rows(self, numbers: Ints, types: TokenTypes) -> Ints:
        """The rows of these types, valid until the next call; no more types than rows."""
        if len(types) > len(self._rows):
            grown = np.full(2 * len(types), -1, np.int32)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        self._clock += 1
        rows = self._rows[numbers]
        missing = rows < 0
        self._kept_for[rows[~missing]] = self._clock + _STAYS
        if missing.any():
            fresh = np.unique(numbers[missing])
            if len(fresh) > len(self._free):
                self._forget(len(fresh))
            self._add(fresh, types.attributes(fresh))
            rows[missing] = self._rows[numbers[missing]]
        return rows

    def _forget(self, number: int) -> None:
        """Free at least `number` rows: those used longest ago, of those used once before others."""
        self._kept_for[0] = self._kept_for[self._free] = self._clock + _STAYS
        number = max(number - len(self._free), TABLE_ROWS // 8)
        oldest = np.argpartition(self._kept_for, number)[:number]
        self._rows[self._types[oldest]] = -1
        self._free = np.concatenate([self._free, oldest])

    def _add(self, fresh: Ints, attributes: Attributes) -> None:
        places, self._free = np.split(self._free, [len(fresh)])
        self.embedded[places] = embedded = self._mix(self._features_of(attributes))
        products = (embedded @ self._weights).reshape(len(fresh), *self.products.shape[1:3], -1)
        self.products[places, :, :, : embedded.shape[1]] = products
        self._types[places] = fresh
        self._kept_for[places] = self._clock
        self._rows[fresh] = places

    def _features_of(self, attributes: Attributes) -> Floats:
        if self._hashed is not None:
            return self._hashed(attributes)
        columns = {attribute: i for i, attribute in enumerate(self.columns)}
        features: Any = [_TypesAsDoc(self._vocab, columns, attributes)]
        for layer in self._features:
            features = layer.predict(features)
        return cast(Floats, features.dataXd)


@dataclass(slots=True)
class _TypesAsDoc:
    """The part of a Doc that spaCy's embedding layers use, with types instead of tokens."""

    vocab: Vocab
    columns: dict[int, int]
    rows: Attributes

    def __len__(self) -> int:
        return len(self.rows)

    def to_array(self, attributes: Any) -> Attributes:
        if isinstance(attributes, list):
            return self.rows[:, [self.columns[intify_attr(each)] for each in attributes]]
        return self.rows[:, self.columns[intify_attr(attributes)]]


def attributes_of(embed: Model[Any, Any], vocab: Vocab) -> list[int]:
    """The token attributes that an embedding reads."""
    attributes: list[int] = []
    for node in embed.walk():
        if node.name == "extract_features":
            attributes += [intify_attr(each) for each in node.attrs["columns"]]
        elif node.name == "static_vectors":
            attributes.append(getattr(vocab.vectors, "attr", ORTH))
    return list(dict.fromkeys(attributes))
