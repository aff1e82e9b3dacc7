"""The compiled inner loops: matrix products that stay in the processor's registers until finished.

A library's matrix product writes its result to memory, and bias, maxout and normalization then read
it from there, one after the other. Here a small tile of the result is computed completely in
registers, with the pieces of a maxout side by side, and only the best of them is written. numba
compiles the loops for the current processor when they are first called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from daskingest.compiling import compiled
from daskingest.recognizer.arrays import Floats, Indices, Ints, aligned_zeros
from daskingest.recognizer.vectors import LANES, ROWS, Emitter, OneByOne, require, whole_vectors

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

PANEL = 64
"""Rows that pass through a layer together, so that each block of its weights is in the cache."""


@contextmanager
def compiling() -> Iterator[None]:
    """For the first use of the kernels: of several processes that start together, one compiles.

    The others wait, and find the result in the cache. If files can't be locked, each compiles.
    """
    folder = cast(Any, convolve).stats.cache_path if AVAILABLE else None
    with ExitStack() as stack:
        if fcntl is not None and folder is not None:
            with suppress(OSError):
                file = stack.enter_context((Path(folder) / "kernels.lock").open("a+"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    fcntl.flock(file, fcntl.LOCK_SH)
        yield


class Maxout:
    """A layer's weights and biases, laid out for `_product_tile`.

    `weights` are (pieces, outputs, inputs), with one bias for each output of each piece. Outputs
    are padded with zeros to a whole number of vectors.
    """

    def __init__(self, weights: Floats, bias: Floats) -> None:
        pieces, outputs, inputs = weights.shape
        whole = whole_vectors(outputs)
        padded = np.zeros((pieces, whole, inputs), np.float32)
        padded[:, :outputs] = weights
        parts = padded.reshape(pieces, -1, LANES, inputs).transpose(1, 3, 0, 2)
        self.weights = aligned_zeros(*parts.shape)
        """(blocks, inputs, pieces, LANES)"""
        self.weights[:] = parts
        padded_bias = np.zeros((pieces, whole), np.float32)
        padded_bias[:, :outputs] = bias.reshape(pieces, outputs)
        self.biases = tuple(padded_bias)
        """By piece, (blocks * LANES,)."""


def _product_tile(
    _: Any, inputs: Any, start: Any, stride: Any, weights: Any, biases: Any, block: Any, out: Any
) -> Any:
    """Compute ROWS rows of LANES outputs, each the best of the pieces.

    A row is as many consecutive `inputs` as there are weights; the first starts at index `start`,
    and each of the others `stride` after the one before. The block's columns of `out` (ROWS, any)
    are set.
    """
    require(*((array, types.float32) for array in (inputs, weights, *biases, out)))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit, kinds = Emitter(context, builder), signature.args
        inputs_, start_, stride_, weights_, biases_, block_, out_ = arguments
        vector, pieces = emit.vector, len(kinds[4])
        multiply_add = emit.function("fmuladd", vector, 3)
        array, target = emit.array(kinds[3], weights_), emit.array(kinds[6], out_)
        depth, width = builder.extract_value(array.shape, 1), builder.extract_value(target.shape, 1)
        column, line = emit.product(block_, emit.number(LANES)), emit.number(pieces * LANES)
        first_input = emit.at(emit.array(kinds[0], inputs_).data, start_)
        first_weight = emit.at(array.data, emit.product(block_, depth, line))
        sums = [emit.sums(kinds[4], biases_, column) for _ in range(ROWS)]
        with cgutils.for_range(builder, depth) as loop:
            place = emit.at(first_weight, emit.product(loop.index, line))
            columns = [emit.load(emit.at(place, emit.number(i * LANES))) for i in range(pieces)]
            for row in range(ROWS):
                offset = emit.product(stride_, emit.number(row))
                value = emit.repeat(builder.load(emit.at(first_input, offset, loop.index), align=4))
                for total, weight in zip(sums[row], columns, strict=True):
                    result = builder.call(multiply_add, [value, weight, builder.load(total)])
                    builder.store(result, total)
        for row in range(ROWS):
            offset = emit.product(width, emit.number(row))
            emit.store_best(
                list(map(builder.load, sums[row])), emit.at(target.data, offset, column)
            )
        return context.get_dummy_value()

    return types.void(inputs, start, stride, weights, biases, block, out), codegen


def _sum_tile(
    _: Any, rows: Any, start: Any, products: Any, biases: Any, block: Any, out: Any
) -> Any:
    """The same for one row, from known products, which are summed over a window.

    `products` are (any, window, pieces, any). The window's indices in it are `rows` from `start`.
    """
    require((rows, types.int32))
    require(*((array, types.float32) for array in (products, *biases, out)))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit, kinds = Emitter(context, builder), signature.args
        rows_, start_, products_, biases_, block_, out_ = arguments
        array = emit.array(kinds[2], products_)
        window, pieces, width = (builder.extract_value(array.shape, axis) for axis in (1, 2, 3))
        column = emit.product(block_, emit.number(LANES))
        first = emit.at(emit.array(kinds[0], rows_).data, start_)
        sums = emit.sums(kinds[3], biases_, column)
        with cgutils.for_range(builder, window) as loop:
            row = builder.sext(builder.load(emit.at(first, loop.index)), emit.integer)
            line = builder.add(emit.product(row, window), loop.index)
            place = emit.at(array.data, emit.product(line, pieces, width), column)
            for piece, total in enumerate(sums):
                product = emit.load(emit.at(place, emit.product(width, emit.number(piece))))
                builder.store(builder.fadd(builder.load(total), product), total)
        emit.store_best(
            list(map(builder.load, sums)), emit.at(emit.array(kinds[5], out_).data, column)
        )
        return context.get_dummy_value()

    return types.void(rows, start, products, biases, block, out), codegen


def _normal_row(
    _: Any, values: Any, row: Any, scale: Any, shift: Any, inputs: Any, at: Any, out: Any, to: Any
) -> Any:
    """Layer normalization of a row of values, plus a row of the layer's inputs (the residual).

    `values` may have more columns than `inputs` and `out`, which are (any, width).
    """
    require(*((array, types.float32) for array in (values, scale, shift, inputs, out)))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors, ones = Emitter(context, builder), OneByOne(context, builder)
        values, scale, shift, inputs, out = (
            vectors.row(signature.args[i], arguments[i], row and arguments[row])
            for i, row in ((0, 1), (2, None), (3, None), (4, 5), (6, 7))
        )
        width = builder.extract_value(vectors.array(signature.args[2], arguments[2]).shape, 0)
        share = builder.fdiv(vectors.real(1), builder.sitofp(width, vectors.real))

        def mean_of(term: Callable[[Emitter, Any], Any]) -> Any:
            total = builder.fadd(*(each.sum_of(width, term) for each in (vectors, ones)))
            return builder.fmul(total, share)

        def deviation(emit: Emitter, place: Any) -> Any:
            return builder.fsub(emit.load(emit.at(values, place)), emit.repeat(mean))

        def square(emit: Emitter, place: Any) -> Any:
            return builder.fmul(deviation(emit, place), deviation(emit, place))

        mean = mean_of(lambda emit, place: emit.load(emit.at(values, place)))
        variance = builder.fadd(mean_of(square), vectors.real(1e-8))
        root = builder.call(vectors.function("sqrt", vectors.real), [variance])
        factor = builder.fdiv(vectors.real(1), root)
        for emit in (vectors, ones):
            with emit.places(width) as place:
                a, b, c = (emit.load(emit.at(each, place)) for each in (scale, shift, inputs))
                normal = builder.fmul(deviation(emit, place), emit.repeat(factor))
                result = builder.fadd(builder.fadd(builder.fmul(normal, a), b), c)
                emit.store(result, emit.at(out, place))
        return context.get_dummy_value()

    return types.void(values, row, scale, shift, inputs, at, out, to), codegen


_products: Any = intrinsic(_product_tile)
_sums: Any = intrinsic(_sum_tile)
normalize: Any = intrinsic(_normal_row)


@compiled
def convolve(
    inputs: Floats,
    weights: Floats,
    biases: tuple[Floats, ...],
    scale: Floats,
    shift: Floats,
    added: Floats,
    out: Floats,
) -> None:
    """One convolution: maxout over a window of rows, layer normalization, and what is added.

    `added` are the inputs themselves where there is a residual connection. `out` is as large, with
    as many rows as `inputs`; half a window at both ends is not written. There must be at least ROWS
    rows between them; otherwise it raises ValueError.
    """
    rows, width = inputs.shape
    edge = weights.shape[1] // width // 2
    if rows - 2 * edge < ROWS:
        raise ValueError("too few rows")
    flat = inputs.reshape(-1)
    best = np.empty((PANEL, len(biases[0])), np.float32)
    for panel in range(0, rows - 2 * edge, PANEL):
        stop = min(panel + PANEL, rows - 2 * edge)
        start = min(panel, stop - ROWS)
        for block in range(len(weights)):
            for row in range(start, stop, ROWS):
                first = min(row, stop - ROWS)
                tile = best[first - start :]
                _products(flat, first * width, width, weights, biases, block, tile)
        for row in range(start, stop):
            i = row + edge
            normalize(best, row - start, scale, shift, added, i, out, i)


@compiled
def convolve_types(
    types: Ints,
    embedded: Floats,
    products: Floats,
    biases: tuple[Floats, ...],
    scale: Floats,
    shift: Floats,
    out: Floats,
) -> None:
    """The same for the first layer, whose products are known.

    `types` are indices in `embedded` (any, width), the layer's inputs, and in `products` (any,
    window, pieces, width rounded up to whole vectors).
    """
    window = products.shape[1]
    best = np.empty((1, products.shape[3]), np.float32)
    for start in range(len(types) - window + 1):
        for block in range(best.size // LANES):
            _sums(types, start, products, biases, block, best)
        middle = start + window // 2
        normalize(best, 0, scale, shift, embedded, types[middle], out, middle)


@compiled
def best_outputs(
    vectors: Floats,
    rows: Indices,
    hidden_weights: Floats,
    hidden_biases: tuple[Floats, ...],
    weights: Floats,
    biases: tuple[Floats, ...],
    names: Ints,
    out: Ints,
) -> None:
    """For each of these rows of `vectors`, the name of the network's highest output.

    The network is a maxout layer followed by a linear layer (a Maxout of one piece). Of equal
    outputs, the first wins.
    """
    width = vectors.shape[1]
    inputs = np.empty(ROWS * width, np.float32)
    hidden = np.empty((ROWS, len(hidden_biases[0])), np.float32)
    flat = hidden.reshape(-1)
    scores = np.empty((ROWS, len(biases[0])), np.float32)
    for start in range(0, len(rows), ROWS):
        n = min(ROWS, len(rows) - start)
        for row in range(n):
            inputs[row * width : (row + 1) * width] = vectors[rows[start + row]]
        for block in range(len(hidden_weights)):
            _products(inputs, 0, width, hidden_weights, hidden_biases, block, hidden)
        for block in range(len(weights)):
            _products(flat, 0, hidden.shape[1], weights, biases, block, scores)
        for row in range(n):
            out[start + row] = names[np.argmax(scores[row, : len(names)])]


AVAILABLE = hasattr(convolve, "stats")
"""Whether numba compiles. With NUMBA_DISABLE_JIT it doesn't, and tiles can't run as Python."""
