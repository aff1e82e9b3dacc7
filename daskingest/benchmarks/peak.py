"""How much of what a core can do at most the encoder's matrix products reach.

The limit is the machine's own: multiplications and additions of vectors in registers, with nothing
to load. AMX is no part of it, so where that is used, the encoder may reach more than all of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from daskingest.compiling import compiled
from daskingest.extraction import GROUP_CHARS
from daskingest.grouping import grouped
from daskingest.models import load_model
from daskingest.recognizer.arrays import Floats, Ints
from daskingest.recognizer.vectors import LANES

_SUMS = 12  # independent, so that none waits for another; with two operands they fit 16 registers
_ROUNDS = 400_000  # some 3 ms


def _fused_loop(_: Any, rounds: Any, factor: Any, out: Any) -> Any:
    """Multiply each of _SUMS vectors by `factor` and add it, `rounds` times; store their sum."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rounds_, factor_, out_ = arguments
        vector = ir.VectorType(ir.FloatType(), LANES)
        fused = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{LANES}f32"
        )
        value: Any = ir.Constant(vector, ir.Undefined)
        for lane in range(LANES):
            value = builder.insert_element(value, factor_, ir.IntType(32)(lane))
        sums = [cgutils.alloca_once_value(builder, value) for _ in range(_SUMS)]
        with cgutils.for_range(builder, rounds_):
            for each in sums:
                builder.store(builder.call(fused, [builder.load(each), value, value]), each)
        total = ir.Constant(vector, None)
        for each in sums:
            total = builder.fadd(total, builder.load(each))
        place = context.make_array(signature.args[2])(context, builder, out_).data
        builder.store(total, builder.bitcast(place, vector.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32, out), codegen


_fused: Any = intrinsic(_fused_loop)


@compiled
def multiply_add(rounds: int, factor: np.float32, out: Floats) -> None:
    """Do `rounds` times _SUMS multiplications and additions of LANES floats; set `out` (LANES,)."""
    _fused(rounds, factor, out)


def peak() -> float:
    """Floating-point operations that a core does in a second of its time, measured once."""
    out = np.empty(LANES, np.float32)
    multiply_add(1, np.float32(0.5), out)
    started = time.thread_time()
    multiply_add(_ROUNDS, np.float32(0.5), out)
    return 2.0 * _ROUNDS * _SUMS * LANES / (time.thread_time() - started)


def encoder_vs_peak(model: str, texts: Sequence[str]) -> float:
    """The operations of the encoder's products in a second of its time, as a share of the peak.

    All that the encoder does takes time, look-ups and normalization too. Both are measured in
    turns, on new texts, after the first half of `texts`.
    """
    find = load_model(model)
    if find.recognizer is None:
        return 0.0
    encoder, encode = find.recognizer.encoder, find.recognizer.encoder.encode
    rows = 0
    seconds = 0.0

    def timed(tokens: Ints) -> Floats:
        nonlocal rows, seconds
        started = time.thread_time()
        vectors = encode(tokens)
        seconds += time.thread_time() - started
        rows += len(tokens)
        return vectors

    peaks = []
    known, new = texts[: len(texts) // 2], texts[len(texts) // 2 :]
    with find.nlp.memory_zone():
        for group in grouped(known, len, GROUP_CHARS):
            find(group)
        vars(encoder)["encode"] = timed
        try:
            for group in grouped(new, len, GROUP_CHARS):
                peaks.append(peak())
                find(group)
        finally:
            vars(encoder)["encode"] = encode
    return rows * encoder.operations / seconds / max(peaks)
