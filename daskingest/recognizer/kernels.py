"""The compiled inner loops: matrix products that stay in the processor's registers until finished.

A library's matrix product writes its result to memory, and bias, maxout and normalization then read
it from there, one after the other. Here a small tile of the result is computed completely in
registers, with the pieces of a maxout side by side, and only the best of them is written. numba
compiles the loops for the current processor when they are first called, and caches them until this
file changes; so everything that they consist of is in this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from daskingest.recognizer.arrays import Floats, Indices, Ints, aligned_zeros

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _tile_shape() -> tuple[int, int]:
    """Floats per vector register, and rows of a tile: as many as three pieces' sums fit registers.

    They depend on the processor that numba compiles for, which is part of its cache's key.
    """
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    has = set(features.split(","))
    if "+avx512f" in has:
        return 16, 8
    if "+avx2" in has:
        return 8, 4
    return 4, 8 if "+neon" in has else 4


LANES, ROWS = _tile_shape()
PANEL = 64
"""Rows that pass through a layer together, so that each block of its weights is in the cache."""


def whole_vectors(width: int) -> int:
    """The width, rounded up to a whole number of vectors."""
    return -(-width // LANES) * LANES


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile when first called, to run without the GIL. Sums may be computed in any order."""
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"reassoc", "contract", "nsz"},
        "error_model": "numpy",  # so that divisions need no branch
    }
    try:
        result: Callable[_P, _R] = njit(cache=True, **options)(function)
    except RuntimeError:  # there is no folder for the cache
        result = njit(**options)(function)
    return result


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


class _Emitter:
    """Emits the code that both tiles share: vectors of LANES floats at positions in arrays."""

    integer = ir.IntType(64)
    vector = ir.VectorType(ir.FloatType(), LANES)

    def __init__(self, context: Any, builder: Any) -> None:
        self._context, self.builder = context, builder

    def array(self, kind: Any, value: Any) -> Any:
        return self._context.make_array(kind)(self._context, self.builder, value)

    def number(self, value: int) -> Any:
        return self.integer(value)

    def product(self, first: Any, *factors: Any) -> Any:
        for factor in factors:
            first = self.builder.mul(first, factor)
        return first

    def at(self, pointer: Any, *offsets: Any) -> Any:
        for offset in offsets:
            pointer = self.builder.gep(pointer, [offset])
        return pointer

    def load(self, pointer: Any) -> Any:
        place = self.builder.bitcast(pointer, self.vector.as_pointer())
        return self.builder.load(place, align=4)

    def repeat(self, value: Any) -> Any:
        """A vector with the same value in each lane."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
        one = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        return self.builder.shuffle_vector(one, undefined, zeros)

    def sums(self, kind: Any, biases: Any, column: Any) -> list[Any]:
        """A variable for each piece, initialised with its bias. LLVM keeps them in registers."""
        variables = []
        for piece in range(len(kind)):
            bias = self.array(kind.dtype, self.builder.extract_value(biases, piece))
            variables.append(cgutils.alloca_once(self.builder, self.vector))
            self.builder.store(self.load(self.at(bias.data, column)), variables[-1])
        return variables

    def store_best(self, variables: list[Any], pointer: Any) -> None:
        best, *others = map(self.builder.load, variables)
        for other in others:
            better = self.builder.fcmp_ordered(">", other, best)
            best = self.builder.select(better, other, best)
        place = self.builder.bitcast(pointer, self.vector.as_pointer())
        self.builder.store(best, place, align=4)


def _require(*arrays: tuple[Any, Any]) -> None:
    """Check the types of arrays: the tiles access their memory directly."""
    for array, dtype in arrays:
        if not (isinstance(array, types.Array) and array.layout == "C" and array.dtype == dtype):
            raise TypingError(f"expected a C-ordered array of {dtype}, got {array}")


def _product_tile(
    _: Any, inputs: Any, start: Any, stride: Any, weights: Any, biases: Any, block: Any, out: Any
) -> Any:
    """Compute ROWS rows of LANES outputs, each the best of the pieces.

    A row is as many consecutive `inputs` as there are weights; the first starts at index `start`,
    and each of the others `stride` after the one before. The block's columns of `out` (ROWS, any)
    are set.
    """
    _require(*((array, types.float32) for array in (inputs, weights, *biases, out)))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit, kinds = _Emitter(context, builder), signature.args
        inputs_, start_, stride_, weights_, biases_, block_, out_ = arguments
        vector, pieces = emit.vector, len(kinds[4])
        multiply_add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{LANES}f32"
        )
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
            emit.store_best(sums[row], emit.at(target.data, offset, column))
        return context.get_dummy_value()

    return types.void(inputs, start, stride, weights, biases, block, out), codegen


def _sum_tile(
    _: Any, rows: Any, start: Any, products: Any, biases: Any, block: Any, out: Any
) -> Any:
    """The same for one row, from known products, which are summed over a window.

    `products` are (any, window, pieces, any). The window's indices in it are `rows` from `start`.
    """
    _require((rows, types.int32))
    _require(*((array, types.float32) for array in (products, *biases, out)))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit, kinds = _Emitter(context, builder), signature.args
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
        emit.store_best(sums, emit.at(emit.array(kinds[5], out_).data, column))
        return context.get_dummy_value()

    return types.void(rows, start, products, biases, block, out), codegen


_products: Any = intrinsic(_product_tile)
_sums: Any = intrinsic(_sum_tile)


@compiled
def _normalize(values: Floats, scale: Floats, shift: Floats, inputs: Floats, out: Floats) -> None:
    """Layer normalization of one row of values, plus the layer's inputs (the residual)."""
    width = len(scale)
    mean = np.float32(0)
    for i in range(width):
        mean += values[i]
    mean /= np.float32(width)
    variance = np.float32(0)
    for i in range(width):
        variance += (values[i] - mean) * (values[i] - mean)
    # In 64 bits, or else LLVM divides each value: it may reassociate.
    factor = np.float32(1 / np.sqrt(np.float64(variance / np.float32(width)) + 1e-8))
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

    `out` is (rows, width), as `inputs` is; half a window at both ends is not written. There must be
    at least ROWS rows between them; otherwise it raises ValueError.
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
            _normalize(best[row - start], scale, shift, inputs[i], out[i])


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
    window, width = products.shape[1], len(scale)
    best = np.empty(products.shape[3], np.float32)
    for start in range(len(types) - window + 1):
        for block in range(len(best) // LANES):
            _sums(types, start, products, biases, block, best)
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
