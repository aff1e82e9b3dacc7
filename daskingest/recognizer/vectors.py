"""Emits the code that the compiled loops have in common: vectors of floats, and where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.registry import cpu_target

FEATURES = frozenset(cpu_target.target_context.codegen().magic_tuple()[2].split(","))
"""Of the processor that numba compiles for, which are part of its cache's key."""


def _tile_shape() -> tuple[int, int]:
    """Floats per vector register, and rows of a tile, whose sums of three pieces fit registers."""
    if "+avx512f" in FEATURES:
        return 16, 8
    if "+avx2" in FEATURES:
        return 8, 4
    return 4, 8 if "+neon" in FEATURES else 4


LANES, ROWS = _tile_shape()


def whole_vectors(width: int) -> int:
    """The width, rounded up to a whole number of vectors."""
    return -(-width // LANES) * LANES


class Emitter:
    """Emits code for vectors of LANES floats at positions in arrays."""

    integer, real = ir.IntType(64), ir.FloatType()
    vector: Any = ir.VectorType(ir.FloatType(), LANES)

    def __init__(self, context: Any, builder: Any) -> None:
        self._context, self.builder = context, builder

    def array(self, kind: Any, value: Any) -> Any:
        return self._context.make_array(kind)(self._context, self.builder, value)

    def row(self, kind: Any, value: Any, number: Any = None) -> Any:
        """Where a row of an array with two axes begins, or an array with one."""
        array = self.array(kind, value)
        if number is None:
            return array.data
        width = self.builder.extract_value(array.shape, 1)
        return self.at(array.data, self.product(self.builder.sext(number, self.integer), width))

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

    def store(self, value: Any, pointer: Any) -> None:
        place = self.builder.bitcast(pointer, self.vector.as_pointer())
        self.builder.store(value, place, align=4)

    def repeat(self, value: Any) -> Any:
        """A vector with the same value in each lane."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
        one = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        return self.builder.shuffle_vector(one, undefined, zeros)

    def function(self, name: str, kind: Any, arguments: int = 1) -> Any:
        """One of LLVM's, of floats or of vectors."""
        suffix = "f32" if kind == self.real else f"v{LANES}f32"
        signature = ir.FunctionType(kind, [kind] * arguments)
        return cgutils.get_or_insert_function(
            self.builder.module, signature, f"llvm.{name}.{suffix}"
        )

    @contextmanager
    def places(self, width: Any) -> Iterator[Any]:
        """A loop over a row: where each of its whole vectors begins."""
        with cgutils.for_range(self.builder, self.builder.sdiv(width, self.number(LANES))) as loop:
            yield self.product(loop.index, self.number(LANES))

    def sum_of(self, width: Any, term: Callable[[Emitter, Any], Any]) -> Any:
        """Of the lanes of terms, given by their places in a row."""
        total = cgutils.alloca_once_value(self.builder, ir.Constant(self.vector, None))
        with self.places(width) as place:
            result = self.builder.fadd(self.builder.load(total), term(self, place))
            self.builder.store(result, total)
        return self._sum(self.builder.load(total))

    def _sum(self, vector: Any) -> Any:
        """Of all lanes: the halves are added, then the halves of that."""
        lanes = LANES
        while lanes > 1:
            lanes //= 2
            indices = ir.VectorType(ir.IntType(32), lanes)
            low, high = (
                self.builder.shuffle_vector(
                    vector, vector, ir.Constant(indices, list(range(start, start + lanes)))
                )
                for start in (0, lanes)
            )
            vector = self.builder.fadd(low, high)
        return self.builder.extract_element(vector, ir.IntType(32)(0))

    def sums(self, kind: Any, biases: Any, column: Any) -> list[Any]:
        """A variable for each piece, initialised with its bias. LLVM keeps them in registers."""
        variables = []
        for piece in range(len(kind)):
            bias = self.array(kind.dtype, self.builder.extract_value(biases, piece))
            variables.append(cgutils.alloca_once(self.builder, self.vector))
            self.builder.store(self.load(self.at(bias.data, column)), variables[-1])
        return variables

    def store_best(self, values: list[Any], pointer: Any) -> None:
        best, *others = values
        for other in others:
            better = self.builder.fcmp_ordered(">", other, best)
            best = self.builder.select(better, other, best)
        self.store(best, pointer)


class OneByOne(Emitter):
    """The same for what is left of a row beside its whole vectors: float by float."""

    vector = ir.FloatType()

    def repeat(self, value: Any) -> Any:
        return value

    @contextmanager
    def places(self, width: Any) -> Iterator[Any]:
        left = self.builder.srem(width, self.number(LANES))
        with cgutils.for_range(self.builder, left) as loop:
            yield self.builder.add(self.builder.sub(width, left), loop.index)

    def _sum(self, vector: Any) -> Any:
        return vector


def require(*arrays: tuple[Any, Any]) -> None:
    """Check the types of arrays: the tiles access their memory directly."""
    for array, dtype in arrays:
        if not (isinstance(array, types.Array) and array.layout == "C" and array.dtype == dtype):
            raise TypingError(f"expected a C-ordered array of {dtype}, got {array}")
