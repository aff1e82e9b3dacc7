"""The compiled inner loops: matrix products that never leave the processor's registers unfinished.

A library's matrix product writes its result to memory, and bias, maxout and normalization then read
it from there, one after the other. Here a small tile of the result is computed whole in registers,
the pieces of a maxout beside each other, and only the best of them is written. numba compiles the
loops for the processor at hand when they are first called, and keeps them in its cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from daskingest.embedding import Floats, Indices, Ints

P = ParamSpec("P")
R = TypeVar("R")


def _tile_shape() -> tuple[int, int]:
    """Floats in a vector register, and rows of a tile such that three pieces' sums fit in all."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 16, 8
    if features.get("avx2"):
        return 8, 4
    return 4, 8 if features.get("neon") else 4


LANES, ROWS = _tile_shape()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile when first called, without the GIL. Sums may be added up in any order."""
    options: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        result: Callable[P, R] = njit(cache=True, **options)(function)
    except RuntimeError:  # there is no folder to keep it in
        result = njit(**options)(function)
    return result


class Maxout:
    """A layer's weights and biases, laid out for `_maxout_tile`.

    `weights` are (pieces, outputs, inputs), with as many biases as there are outputs of pieces.
    Outputs are made up to a whole number of vectors; the additional ones are 0.
    """

    def __init__(self, weights: Floats, bias: Floats) -> None:
        pieces, outputs, inputs = weights.shape
        blocks = -(-outputs // LANES)
        padded = np.zeros((pieces, blocks * LANES, inputs), np.float32)
        padded[:, :outputs] = weights
        parts = padded.reshape(pieces, blocks, LANES, inputs).transpose(1, 3, 0, 2)
        self.weights = np.ascontiguousarray(parts)
        """(blocks, inputs, pieces, LANES)"""
        padded_bias = np.zeros((pieces, blocks * LANES), np.float32)
        padded_bias[:, :outputs] = bias.reshape(pieces, outputs)
        self.biases = tuple(padded_bias)
        """By piece, (blocks * LANES,)."""


def _tile(
    _typing: Any,
    inputs: Any,
    input_start: Any,
    input_stride: Any,
    weights: Any,
    block: Any,
    biases: Any,
    out: Any,
) -> Any:
    """Compute ROWS rows of LANES outputs: of the pieces, the best one.

    A row is as many neighbouring `inputs` as there are weights; the first starts at the place
    `input_start`, and each `input_stride` behind the one before. `out` is (ROWS, any), of which the
    block's columns are set.
    """
    pieces = len(biases)
    signature = types.void(inputs, input_start, input_stride, weights, block, biases, out)
    integer, vector = ir.IntType(64), ir.VectorType(ir.FloatType(), LANES)
    undefined = ir.Constant(vector, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def array(kind: Any, value: Any) -> Any:
            return context.make_array(kind)(context, builder, value)

        def at(pointer: Any, *offsets: Any) -> Any:
            for offset in offsets:
                pointer = builder.gep(pointer, [offset])
            return pointer

        def place(pointer: Any) -> Any:
            return builder.bitcast(pointer, vector.as_pointer())

        def load(pointer: Any) -> Any:
            return builder.load(place(pointer), align=4)

        def number(value: int) -> Any:
            return integer(value)

        its_inputs, start, stride, its_weights, its_block, its_biases, its_out = arguments
        kinds = signature.args
        multiply_add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{LANES}f32"
        )
        weights_array, out_array = array(kinds[3], its_weights), array(kinds[6], its_out)
        depth = builder.extract_value(weights_array.shape, 1)
        outputs = builder.mul(its_block, number(LANES))
        first_input = at(array(kinds[0], its_inputs).data, start)
        step = number(pieces * LANES)
        first_weight = at(weights_array.data, builder.mul(builder.mul(its_block, depth), step))

        sums = [[cgutils.alloca_once(builder, vector) for _ in range(pieces)] for _ in range(ROWS)]
        for piece in range(pieces):
            bias = array(kinds[5].dtype, builder.extract_value(its_biases, piece))
            for row in range(ROWS):
                builder.store(load(at(bias.data, outputs)), sums[row][piece])
        with cgutils.for_range(builder, depth) as loop:
            line = at(first_weight, builder.mul(loop.index, step))
            columns = [load(at(line, number(piece * LANES))) for piece in range(pieces)]
            for row in range(ROWS):
                value = builder.load(
                    at(first_input, builder.mul(stride, number(row)), loop.index), align=4
                )
                one = builder.insert_element(undefined, value, ir.IntType(32)(0))
                repeated = builder.shuffle_vector(one, undefined, zeros)
                for its_sum, column in zip(sums[row], columns, strict=True):
                    result = builder.call(multiply_add, [repeated, column, builder.load(its_sum)])
                    builder.store(result, its_sum)
        width = builder.extract_value(out_array.shape, 1)
        for row in range(ROWS):
            best = builder.load(sums[row][0])
            for other in map(builder.load, sums[row][1:]):
                best = builder.select(builder.fcmp_ordered(">", other, best), other, best)
            its_place = at(out_array.data, builder.mul(width, number(row)), outputs)
            builder.store(best, place(its_place), align=4)
        return context.get_dummy_value()

    return signature, codegen


_maxout_tile: Any = intrinsic(_tile)


@compiled
def _normalize(values: Floats, scale: Floats, shift: Floats, inputs: Floats, out: Floats) -> None:
    """Layer normalization of one row of values, to which the layer's own inputs are added."""
    width = len(scale)
    mean = np.float32(0)
    for i in range(width):
        mean += values[i]
    mean /= np.float32(width)
    variance = np.float32(0)
    for i in range(width):
        variance += (values[i] - mean) * (values[i] - mean)
    factor = np.float32(1) / np.sqrt(variance / np.float32(width) + np.float32(1e-8))
    for i in range(width):
        out[i] = (values[i] - mean) * factor * scale[i] + shift[i] + inputs[i]


@compiled
def convolve(
    inputs: Floats,
    weights: Floats,
    biases: tuple[Floats, ...],
    scale: Floats,
    shift: Floats,
    out: Floats,
) -> None:
    """One convolution: maxout over a window of rows, layer normalization, a residual connection.

    Of `out`, (rows, width) as `inputs`, half a window at both ends stays as it is. There must be
    ROWS rows between.
    """
    rows, width = inputs.shape
    edge = weights.shape[1] // width // 2
    flat = inputs.reshape(-1)
    best = np.empty((ROWS, len(biases[0])), np.float32)
    for start in range(0, rows - 2 * edge, ROWS):
        first = min(start, rows - 2 * edge - ROWS)
        for block in range(len(weights)):
            _maxout_tile(flat, first * width, width, weights, block, biases, best)
        for row in range(ROWS):
            i = first + edge + row
            _normalize(best[row], scale, shift, inputs[i], out[i])


@compiled
def convolve_types(
    types: Ints,
    embedded: Floats,
    products: Floats,
    scale: Floats,
    shift: Floats,
    out: Floats,
) -> None:
    """The same for the first layer, whose products are known.

    `types` are places in `embedded` (any, width), the layer's inputs, and in `products` (any,
    window, pieces * width), the sum of which over the window is the maxout's, with its bias.
    """
    _, window, outputs = products.shape
    width = len(scale)
    best = np.empty(outputs, np.float32)
    for start in range(len(types) - window + 1):
        for place in range(window):
            row = products[types[start + place], place]
            for i in range(outputs):
                best[i] = best[i] + row[i] if place else row[i]
        for piece in range(width, outputs, width):
            for i in range(width):
                other = best[piece + i]
                best[i] = other if other > best[i] else best[i]
        middle = start + window // 2
        _normalize(best[:width], scale, shift, embedded[types[middle]], out[middle])


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
    """For each of these rows of `vectors`, the name of the greatest of a network's outputs.

    The network is a maxout layer and a linear one, a Maxout of one piece. Of equal outputs, the
    first is taken.
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
            _maxout_tile(inputs, 0, width, hidden_weights, block, hidden_biases, hidden)
        for block in range(len(weights)):
            _maxout_tile(flat, 0, hidden.shape[1], weights, block, biases, scores)
        for row in range(n):
            out[start + row] = names[np.argmax(scores[row, : len(names)])]
