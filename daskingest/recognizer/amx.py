"""Matrix products of tiles, on processors that have AMX, as exact as with 32-bit floats.

AMX multiplies bfloat16: eight significant bits, a third of a float's. So a float is split into a
sum of three of them, and of the nine products of two such sums the six that a 32-bit float's
precision has room for are added, in 32 bits. That is six times the work, at sixteen times the
speed of AVX-512.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from daskingest.compiling import compiled
from daskingest.recognizer.arrays import Floats, aligned_zeros
from daskingest.recognizer.kernels import PANEL, normalize
from daskingest.recognizer.vectors import FEATURES, Emitter, require

Halves = NDArray[np.uint16]
"""The upper 16 bits of floats."""

_SIZE = 16  # rows of a tile, and floats in each of them
_DEPTH = 2 * _SIZE  # bfloat16 in a row
_PARTS = 3  # of a float
_FACTORS = (0, (0, 1, 2)), (1, (1, 0)), (2, (0,))  # for a part of weights, those of inputs
_SUMS, _WEIGHTS, _INPUTS = (0, 1, 2), (5, 6, 7), (3, 4)  # what is in which of the eight tiles
MAX_PIECES = len(_SUMS)

_SHAPES = np.zeros(64, np.uint8)
"""The processor's configuration, by which all tiles are whole: `ldtilecfg` in Intel's manual."""
_SHAPES[0] = 1
_SHAPES[16:32:2] = 4 * _SIZE
_SHAPES[48:56] = _SIZE


@functools.cache
def usable() -> bool:
    """Whether the processor has AMX, numba compiles for it, and Linux lets this process use it."""
    if sys.platform != "linux" or not {"+amx-tile", "+amx-bf16", "+avx512f"} <= FEATURES:
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    return not ctypes.CDLL(None).syscall(arch_prctl, request_permission, tile_data)


def split(values: Floats) -> Halves:
    """Three numbers of 16 bits whose sum is the value, by part: (3, *shape)."""
    parts = np.empty((_PARTS, *values.shape), np.uint16)
    for part in parts:
        bits = np.ascontiguousarray(values).view(np.uint32) + np.uint32(1 << 15) >> np.uint32(16)
        part[...] = bits
        values = values - (bits << np.uint32(16)).view(np.float32)
    return parts


def split_weights(weights: Floats, window: int) -> Halves:
    """A layer's weights, (pieces, outputs, inputs), laid out for `convolve_split`.

    They are (blocks, window, steps, 3, pieces, 512), of each 16 outputs (a block), and 32 inputs of
    one row (a step): two of these side by side are in each float of a tile.
    """
    pieces, outputs, inputs = weights.shape
    width = inputs // window
    blocks, steps = -(-outputs // _SIZE), -(-width // _DEPTH)
    padded = np.zeros((pieces, blocks * _SIZE, window, steps * _DEPTH), np.float32)
    padded[:, :outputs, :, :width] = weights.reshape(pieces, outputs, window, width)
    parts = split(padded).reshape(_PARTS, pieces, blocks, _SIZE, window, steps, _SIZE, 2)
    tiles = parts.transpose(2, 4, 5, 0, 1, 6, 3, 7).reshape(
        blocks, window, steps, _PARTS, pieces, -1
    )
    aligned = aligned_zeros(tiles.size // 2).view(np.uint16).reshape(tiles.shape)
    aligned[...] = tiles
    return aligned


class _Tiles(Emitter):
    """Emits instructions for tiles, which are numbered."""

    byte = ir.IntType(8)

    def emit(self, name: str, *arguments: Any) -> None:
        kinds = [argument.type for argument in arguments]
        function = ir.FunctionType(ir.VoidType(), kinds)
        instruction = cgutils.get_or_insert_function(
            self.builder.module, function, f"llvm.x86.{name}"
        )
        self.builder.call(instruction, arguments)

    def address(self, pointer: Any) -> Any:
        return self.builder.bitcast(pointer, self.byte.as_pointer())

    def fill(self, tile: int, pointer: Any, stride: Any) -> None:
        """From an array whose rows are `stride` bytes apart."""
        self.emit("tileloadd64", self.byte(tile), self.address(pointer), stride)

    def add_products(
        self, inputs: Any, part_size: Any, width: Any, weights: Any, pieces: int
    ) -> None:
        """Add what 32 of 16 rows' inputs, of `width` each, contribute to each piece's sums."""
        held: dict[int, int] = {}
        for part, factors in _FACTORS:
            for piece in range(pieces):
                place = self.at(weights, self.number((part * pieces + piece) * _SIZE * _DEPTH))
                self.fill(_WEIGHTS[piece], place, self.number(2 * _DEPTH))
            for factor in factors:
                tile = _INPUTS[factor % 2]
                if held.get(tile) != factor:
                    held[tile] = factor
                    place = self.at(inputs, self.product(part_size, self.number(factor)))
                    self.fill(tile, place, self.product(width, self.number(2)))
                for piece in range(pieces):
                    numbers = _SUMS[piece], tile, _WEIGHTS[piece]
                    self.emit("tdpbf16ps", *map(self.byte, numbers))


def _configure_tiles(_: Any, shapes: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tiles = _Tiles(context, builder)
        tiles.emit("ldtilecfg", tiles.address(tiles.array(signature.args[0], arguments[0]).data))
        return context.get_dummy_value()

    return types.void(shapes), codegen


def _release_tiles(_: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _Tiles(context, builder).emit("tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen


def _multiply_tiles(
    _: Any, parts: Any, row: Any, weights: Any, block: Any, place: Any, biases: Any, sums: Any
) -> Any:
    """Add a row's products with the weights of a block, at one place of the window, to `sums`.

    `parts` are (3, rows, width), of which 16 rows from `row` are taken, `sums` (pieces, 16, 16).
    At the first place, the sums begin with the biases. There are at most three pieces.
    """
    require(*((array, types.float32) for array in (*biases, sums)))
    require(*((array, types.uint16) for array in (parts, weights)))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tiles, kinds = _Tiles(context, builder), signature.args
        parts_, row_, weights_, block_, place_, biases_, sums_ = arguments
        number, pieces = tiles.number, len(kinds[5])
        source, array = tiles.array(kinds[0], parts_), tiles.array(kinds[2], weights_)
        rows, width = (builder.extract_value(source.shape, axis) for axis in (1, 2))
        window, steps = (builder.extract_value(array.shape, axis) for axis in (1, 2))
        inputs = tiles.at(source.data, tiles.product(row_, width))
        step_size = number(_PARTS * pieces * _SIZE * _DEPTH)
        places = builder.add(tiles.product(block_, window), place_)
        columns = tiles.at(array.data, tiles.product(places, steps, step_size))
        total = tiles.array(kinds[6], sums_).data
        lines = [tiles.at(total, number(piece * _SIZE * _SIZE)) for piece in range(pieces)]
        first = builder.icmp_signed("==", place_, number(0))
        for piece, line in enumerate(lines):
            bias = tiles.array(kinds[5].dtype, builder.extract_value(biases_, piece)).data
            begin = tiles.at(bias, tiles.product(block_, number(_SIZE)))
            stride = builder.select(first, number(0), number(4 * _SIZE))
            tiles.fill(_SUMS[piece], builder.select(first, begin, line), stride)
        with cgutils.for_range(builder, steps) as loop:
            inputs_ = tiles.at(inputs, tiles.product(loop.index, number(_DEPTH)))
            columns_ = tiles.at(columns, tiles.product(loop.index, step_size))
            tiles.add_products(inputs_, tiles.product(rows, width), width, columns_, pieces)
        for piece, line in enumerate(lines):
            tiles.emit(
                "tilestored64", tiles.byte(_SUMS[piece]), tiles.address(line), number(4 * _SIZE)
            )
        return context.get_dummy_value()

    return types.void(parts, row, weights, block, place, biases, sums), codegen


def _best_of_tiles(_: Any, sums: Any, pieces: Any, column: Any, out: Any) -> Any:
    """Set 16 columns of `out`, (16, any), to the best of the pieces' sums."""
    require(*((array, types.float32) for array in (sums, out)))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit, kinds = Emitter(context, builder), signature.args
        sums_, _, column_, out_ = arguments
        source, target = emit.array(kinds[0], sums_), emit.array(kinds[3], out_)
        width = builder.extract_value(target.shape, 1)
        for row in range(_SIZE):
            places = [
                emit.at(source.data, emit.number((piece * _SIZE + row) * _SIZE))
                for piece in range(len(kinds[1]))
            ]
            place = emit.at(target.data, emit.product(width, emit.number(row)), column_)
            emit.store_best([emit.load(each) for each in places], place)
        return context.get_dummy_value()

    return types.void(sums, pieces, column, out), codegen


_configure: Any = intrinsic(_configure_tiles)
_release: Any = intrinsic(_release_tiles)
_multiply: Any = intrinsic(_multiply_tiles)
_best: Any = intrinsic(_best_of_tiles)


@compiled
def _aligned(size: int) -> Floats:
    """The same as `aligned_zeros`."""
    room = np.zeros(size + 16, np.float32)
    first = -(room.ctypes.data // 4) % 16
    return room[first : first + size]


@compiled
def _split(values: Floats, parts: Halves) -> None:
    """The same as `split`, of rows."""
    rows, width = values.shape
    for row in range(rows):
        for i in range(width):
            value = values[row, i]
            for part in range(_PARTS):
                bits = (np.float32(value).view(np.uint32) + np.uint32(1 << 15)) & np.uint32(
                    0xFFFF0000
                )
                parts[part, row, i] = bits >> np.uint32(16)
                value -= np.uint32(bits).view(np.float32)


@compiled
def convolve_split(
    inputs: Floats,
    weights: Halves,
    biases: tuple[Floats, ...],
    scale: Floats,
    shift: Floats,
    added: Floats,
    out: Floats,
) -> None:
    """The same as `kernels.convolve`, of any number of rows, and of at most three pieces."""
    rows, width = inputs.shape
    blocks, window = weights.shape[:2]
    edge = window // 2
    # A tile reads beyond a row's end, where the weights are zero, and rows that nobody needs.
    size = _PARTS * (PANEL + window) * width
    parts = _aligned(size + _DEPTH).view(np.uint16)[:size]
    parts = parts.reshape(_PARTS, PANEL + window, width)
    sums = _aligned(PANEL * len(biases) * _SIZE).reshape(PANEL // _SIZE, len(biases), _SIZE, _SIZE)
    best = np.empty((PANEL, blocks * _SIZE), np.float32)
    _configure(_SHAPES)
    for start in range(0, rows - 2 * edge, PANEL):
        some = min(PANEL, rows - 2 * edge - start)
        _split(inputs[start : start + some + 2 * edge], parts)
        for block in range(blocks):
            for place in range(window):
                for tile in range(0, some, _SIZE):
                    total = sums[tile // _SIZE]
                    _multiply(parts, tile + place, weights, block, place, biases, total)
            for tile in range(0, some, _SIZE):
                _best(sums[tile // _SIZE], biases, block * _SIZE, best[tile:])
        for row in range(some):
            i = start + row + edge
            normalize(best, row, scale, shift, added, i, out, i)
    _release()
