"""Compute a model's token vectors: what spaCy's `Tok2Vec` gives, an order of magnitude faster.

The table of embedded types also holds what the first convolution makes of each type at each place
of its window, so that this layer's matrix product becomes a sum of rows. The layers behind it are
one matrix product each, on blocks of rows small enough to stay in the processor's cache, whose left
operand is a strided view: a window's rows are neighbours in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from daskingest.embedding import MAX_TYPES, Floats, Ints, Table, Types, Unsupported

if TYPE_CHECKING:
    from spacy.vocab import Vocab
    from thinc.api import Model

_STRIDE = 4_096  # rows that go through all layers together; less than half of the table's
_BLOCK = 384  # rows of one matrix product: its operands and result stay in the cache


@dataclass(slots=True)
class _Layer:
    """One convolution: maxout over a window, layer normalization, and a residual connection."""

    weights: Floats  # (window * width, pieces * width)
    bias: Floats  # (pieces * width,)
    scale: Floats  # (width,)
    shift: Floats  # (width,)

    def finish(self, products: Floats, inputs: Floats, out: Floats, scratch: _Scratch) -> None:
        """From `products` (rows, pieces * width) and the layer's own inputs; adds no `shift`."""
        rows, width = inputs.shape
        best, per_row = scratch.best[:rows], scratch.per_row[:rows]
        np.maximum(products[:, :width], products[:, -width:], out=best)
        for piece in range(width, products.shape[1] - width, width):
            np.maximum(best, products[:, piece : piece + width], out=best)
        np.matmul(best, scratch.average, out=per_row)
        best -= per_row
        np.vecdot(best, best, out=per_row[:, 0])
        per_row *= np.float32(1 / width)
        per_row += np.float32(1e-8)
        np.sqrt(per_row, out=per_row)
        np.reciprocal(per_row, out=per_row)
        best *= per_row
        best *= self.scale
        np.add(best, inputs, out=out)


class _Scratch:
    """Memory to work in. Fresh memory for each block would cost as much as the work itself."""

    def __init__(self, layer: _Layer, edges: int) -> None:
        width, outputs = len(layer.scale), len(layer.bias)
        self.streams = np.zeros((2, _STRIDE + edges, width), np.float32)
        self.products = np.empty((_BLOCK, outputs), np.float32)
        self.part = np.empty((_BLOCK, outputs), np.float32)
        self.best = np.empty((_BLOCK, width), np.float32)
        self.per_row = np.empty((_BLOCK, 1), np.float32)
        self.average = np.full((width, 1), 1 / width, np.float32)


class Encoder:
    """The token vectors of one model's `tok2vec`, which this class takes its weights from once.

    Raises Unsupported for any other than a `Tok2Vec` of `MultiHashEmbed` (with static vectors or
    without) and `MaxoutWindowEncoder`.
    """

    def __init__(self, tok2vec: Model[Any, Any], vocab: Vocab) -> None:
        embed, self._layers, self._window = _parts(tok2vec)
        self._first = self._layers[0]
        self.reach = len(self._layers) * self._window
        self._shift = _fold_shifts(self._layers)
        weights = np.split(self._first.weights, 2 * self._window + 1)
        self._table = Table(embed, vocab, weights, self._first.bias)
        self.columns = self._table.columns
        self.types = Types(len(self.columns))
        self.generation = 0
        self._scratch = _Scratch(self._first, 2 * self.reach)

    def encode(self, types: Ints) -> Floats:
        """The vectors, (n, width), of n tokens in a row.

        Texts must be apart by `reach` rows of padding (type 0). What lies beyond both ends counts
        as padding. Memory beside the result does not grow with n.
        """
        n, reach = len(types), self.reach
        out = np.empty((n, len(self._first.scale)), np.float32)
        rows = np.zeros(_STRIDE + 2 * reach, np.int32)
        for start in range(0, n, _STRIDE):
            stop = min(start + _STRIDE, n)
            low, high = max(start - reach, 0), min(stop + reach, n)
            rows[:] = 0
            place = slice(low - start + reach, high - start + reach)
            rows[place] = self._table.rows(types[low:high], self.types)
            self._encode(rows[: stop - start + 2 * reach], out[start:stop])
        return out

    def trim(self) -> None:
        """Forget all types if there are too many; the generation then is another."""
        if len(self.types) > MAX_TYPES:
            self.types = Types(len(self.columns))
            self._table.clear()
            self.generation += 1

    def _encode(self, rows: Ints, out: Floats) -> None:
        """The vectors of tokens, given by their rows in the table, but for `reach` at both ends."""
        n, edge = len(rows) - 2 * self._window, self._window
        scratch = self._scratch
        inputs, outputs = scratch.streams[:, : len(rows)]
        np.take(self._table.embedded, rows, axis=0, out=inputs, mode="clip")
        for layer in self._layers:
            windows = as_strided(inputs, (n, len(layer.weights)), inputs.strides, writeable=False)
            for start in range(0, n, _BLOCK):
                stop = min(start + _BLOCK, n)
                products = scratch.products[: stop - start]
                if layer is self._first:
                    self._sum_products(rows[start : stop + 2 * edge], products, scratch.part)
                else:
                    np.matmul(windows[start:stop], layer.weights, out=products)
                    products += layer.bias
                tokens = slice(start + edge, stop + edge)
                layer.finish(products, inputs[tokens], outputs[tokens], scratch)
            inputs, outputs = outputs, inputs
        np.add(inputs[self.reach : self.reach + len(out)], self._shift, out=out)

    def _sum_products(self, rows: Ints, out: Floats, part: Floats) -> None:
        n = len(out)
        for place, table in enumerate(self._table.products):
            its = out if place == 0 else part[:n]
            np.take(table, rows[place : place + n], axis=0, out=its, mode="clip")
            if place:
                out += its


def _fold_shifts(layers: Sequence[_Layer]) -> Floats:
    """Put what each layer's `shift` makes of the layers behind it into their biases.

    Gives the sum of all shifts: what is then missing in the last layer's outputs.
    """
    total = np.zeros_like(layers[0].shift)
    for layer in layers:
        window = len(layer.weights) // len(total)
        layer.bias = layer.bias + np.tile(total, window) @ layer.weights
        total = total + layer.shift
    return total


def _parts(tok2vec: Model[Any, Any]) -> tuple[Model[Any, Any], list[_Layer], int]:
    """The embedding as it is, the encoder's layers, and its window. Raises Unsupported."""
    if not (tok2vec.has_ref("embed") and tok2vec.has_ref("encode")):
        raise Unsupported(f"its tok2vec is {tok2vec.name}")
    embed, encode = tok2vec.get_ref("embed"), tok2vec.get_ref("encode")
    known = {"extract_features", "list2ragged", "ints-getitem", "hashembed", "static_vectors"}
    known |= {"maxout", "layernorm", "dropout", "ragged2list"}
    leaves = [node.name for node in embed.walk() if not node.layers]
    if "extract_features" not in leaves or not known.issuperset(leaves):
        raise Unsupported(f"its embedding is {embed.name}")
    nodes = list(encode.walk(order="dfs_pre"))
    layer = "residual(expand_window>>maxout>>layernorm>>dropout)"
    depth = sum(node.name == layer for node in nodes)
    leaves = [node.name for node in nodes if not node.layers]
    if not depth or leaves != ["expand_window", "maxout", "layernorm", "dropout"] * depth:
        raise Unsupported(f"its encoder is {encode.name}")
    windows = {node.attrs["window_size"] for node in nodes if node.name == "expand_window"}
    if len(windows) != 1 or encode.attrs.get("pad") != depth * max(windows):
        raise Unsupported("its encoder pads texts in another way")
    maxouts = [node for node in nodes if node.name == "maxout"]
    norms = [node for node in nodes if node.name == "layernorm"]
    return embed, [_layer(*pair) for pair in zip(maxouts, norms, strict=True)], windows.pop()


def _layer(maxout: Model[Any, Any], norm: Model[Any, Any]) -> _Layer:
    weights: Any = maxout.get_param("W")  # (out, pieces, in)
    bias: Any = maxout.get_param("b")  # (out, pieces)
    scale: Any = norm.get_param("G")
    shift: Any = norm.get_param("b")
    by_piece = weights.transpose(2, 1, 0).reshape(weights.shape[2], -1)
    return _Layer(np.ascontiguousarray(by_piece), bias.T.flatten(), scale, shift)
