"""Computes a model's token vectors, as spaCy's `Tok2Vec` does, an order of magnitude faster.

The table of embedded types also has each type's products with the first convolution's weights, for
each position in its window, so this layer's matrix product becomes a sum of rows. In each later
layer, a window's rows are adjacent in memory, so they need not be copied to form one row of a
product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daskingest.recognizer import amx
from daskingest.recognizer.arrays import Floats, Ints, aligned_zeros
from daskingest.recognizer.embedding import MAX_TYPES, EmbeddingTable, TokenTypes, Unsupported
from daskingest.recognizer.kernels import AVAILABLE, Maxout, convolve, convolve_types
from daskingest.recognizer.vectors import ROWS

if TYPE_CHECKING:
    from spacy.vocab import Vocab
    from thinc.api import Model

_MIXER = "with_array(maxout>>layernorm>>dropout)"
_STRIDE = 1_024  # rows that pass through all layers together, and stay in the cache
_LOOKED_UP = 12 * _STRIDE  # rows looked up together; less than half of the table's


@dataclass(slots=True)
class _Layer:
    """Maxout over a window, and layer normalization."""

    weights: Floats
    """(pieces, width, inputs): those of a window"""
    maxout: Maxout
    """Of these weights."""
    scale: Floats
    """(width,)"""
    shift: Floats
    """(width,)"""

    def arguments(self, split: bool, window: int) -> tuple[Any, ...]:
        """What its kernel needs between the inputs and what is added."""
        weights = amx.split_weights(self.weights, window) if split else self.maxout.weights
        return weights, self.maxout.biases, self.scale, self.shift


class Encoder:
    """Computes token vectors with the weights of one model's `tok2vec`, which are copied from it.

    Raises Unsupported unless it is a `Tok2Vec` of `MultiHashEmbed` (with or without static vectors)
    and `MaxoutWindowEncoder`.
    """

    def __init__(self, tok2vec: Model[Any, Any], vocab: Vocab) -> None:
        if not AVAILABLE:
            raise Unsupported("NUMBA_DISABLE_JIT is set")
        embed, mixer, layers, window = _parts(tok2vec)
        self._first, *rest = layers
        pieces = max(len(each.weights) for each in (mixer, *rest))
        split = amx.usable() and pieces <= amx.MAX_PIECES
        self._convolve: Any = amx.convolve_split if split else convolve
        self._rest = [layer.arguments(split, 2 * window + 1) for layer in rest]
        self._mixer = mixer.arguments(split, 1)
        self.operations = sum(2 * layer.weights.size for layer in rest)
        """Floating-point operations of a row's products: those that are not looked up."""
        self.reach = len(layers) * window
        self._table = EmbeddingTable(embed, vocab, self._mix, self._first.weights)
        self.columns = self._table.columns
        self.types = TokenTypes(len(self.columns))
        self.generation = 0
        width = len(self._first.scale)
        self._streams = aligned_zeros(2, _STRIDE + 2 * self.reach + ROWS, width)

    def encode(self, types: Ints) -> Floats:
        """The vectors, (n, width), of n consecutive tokens.

        Texts must be separated by `reach` rows of padding (type 0). Beyond both ends, padding is
        assumed. Apart from the result, memory does not grow with n.
        """
        n, reach = len(types), self.reach
        out = np.empty((n, len(self._first.scale)), np.float32)
        rows = np.zeros(_LOOKED_UP + 2 * reach, np.int32)
        for start in range(0, n, _LOOKED_UP):
            stop = min(start + _LOOKED_UP, n)
            low, high = max(start - reach, 0), min(stop + reach, n)
            rows[:] = 0
            place = slice(low - start + reach, high - start + reach)
            rows[place] = self._table.rows(types[low:high], self.types)
            for first in range(start, stop, _STRIDE):
                last = min(first + _STRIDE, stop)
                its_rows = rows[first - start : last - start + 2 * reach]
                self._encode(its_rows, out[first:last])
        return out

    def trim(self) -> None:
        """Forget all types if there are too many; that changes `generation`."""
        if len(self.types) > MAX_TYPES:
            self.types = TokenTypes(len(self.columns))
            self._table.clear()
            self.generation += 1

    def _mix(self, features: Floats) -> Floats:
        """The embeddings of rows of features."""
        rows = np.zeros((max(len(features), ROWS), features.shape[1]), np.float32)
        rows[: len(features)] = features
        nothing = np.zeros((len(rows), len(self._first.scale)), np.float32)
        out = np.empty_like(nothing)
        self._convolve(rows, *self._mixer, nothing, out)
        return out[: len(features)]

    def _encode(self, rows: Ints, out: Floats) -> None:
        """The vectors of tokens, given by their rows in the table, without `reach` at both ends."""
        inputs, outputs = self._streams[:, : len(rows) + ROWS]
        first, table = self._first, self._table
        known = table.embedded, table.products, first.maxout.biases
        convolve_types(rows, *known, first.scale, first.shift, outputs)
        for layer in self._rest:
            inputs, outputs = outputs, inputs
            self._convolve(inputs, *layer, inputs, outputs)
        out[:] = outputs[self.reach : self.reach + len(out)]


def _parts(tok2vec: Model[Any, Any]) -> tuple[Model[Any, Any], _Layer, list[_Layer], int]:
    """The embedding, its last layer, the encoder's layers and window. Raises Unsupported."""
    if not (tok2vec.has_ref("embed") and tok2vec.has_ref("encode")):
        raise Unsupported(f"its tok2vec is {tok2vec.name}")
    embed, encode = tok2vec.get_ref("embed"), tok2vec.get_ref("encode")
    known = {"extract_features", "list2ragged", "ints-getitem", "hashembed", "static_vectors"}
    known |= {"maxout", "layernorm", "dropout", "ragged2list"}
    leaves = [node.name for node in embed.walk() if not node.layers]
    mixed = [node.name for node in embed.layers[-2:]] == [_MIXER, "ragged2list"]
    if "extract_features" not in leaves or not known.issuperset(leaves) or not mixed:
        raise Unsupported(f"its embedding is {embed.name}")
    nodes = list(encode.walk(order="dfs_pre"))
    layer = "residual(expand_window>>maxout>>layernorm>>dropout)"
    depth = sum(node.name == layer for node in nodes)
    leaves = [node.name for node in nodes if not node.layers]
    if not depth or leaves != ["expand_window", "maxout", "layernorm", "dropout"] * depth:
        raise Unsupported(f"its encoder is {encode.name}")
    windows = {node.attrs["window_size"] for node in nodes if node.name == "expand_window"}
    if len(windows) != 1 or encode.attrs.get("pad") != depth * max(windows):
        raise Unsupported("its encoder pads texts differently")
    (mixer,) = _layers(embed.layers[-2])
    return embed, mixer, _layers(encode), windows.pop()


def _layers(model: Model[Any, Any]) -> list[_Layer]:
    nodes = list(model.walk(order="dfs_pre"))
    maxouts = [node for node in nodes if node.name == "maxout"]
    norms = [node for node in nodes if node.name == "layernorm"]
    return [_layer(*pair) for pair in zip(maxouts, norms, strict=True)]


def _layer(maxout: Model[Any, Any], norm: Model[Any, Any]) -> _Layer:
    weights: Any = maxout.get_param("W")  # (out, pieces, in)
    bias: Any = maxout.get_param("b")  # (out, pieces)
    scale: Any = norm.get_param("G")
    shift: Any = norm.get_param("b")
    by_piece = weights.transpose(1, 0, 2)
    return _Layer(by_piece, Maxout(by_piece, bias.T), scale, shift)
