"""The compiled loops against the same in plain numpy, whatever the shapes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.errors import TypingError
from numpy.lib.stride_tricks import sliding_window_view

from daskingest.recognizer import amx
from daskingest.recognizer.arrays import Floats, Indices
from daskingest.recognizer.kernels import PANEL, Maxout, best_outputs, convolve, convolve_types
from daskingest.recognizer.vectors import FEATURES, ROWS, whole_vectors

SHAPES = [(96, 3, 1), (96, 2, 2), (8, 1, 1), (33, 4, 1), (1, 2, 3)]  # width, pieces, reach


def numbers(*shape: int) -> Floats:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def maxout(inputs: Floats, weights: Floats, bias: Floats) -> Floats:
    result: Floats = (np.einsum("ri,poi->rpo", inputs, weights) + bias).max(axis=1)
    return result


def normalized(values: Floats, scale: Floats, shift: Floats, inputs: Floats) -> Floats:
    mean, variance = values.mean(axis=1, keepdims=True), values.var(axis=1, keepdims=True)
    result: Floats = (values - mean) / np.sqrt(variance + 1e-8) * scale + shift + inputs
    return result


@pytest.mark.parametrize(("width", "pieces", "reach"), SHAPES)
@pytest.mark.parametrize("rows", [ROWS, 3 * ROWS - 1, PANEL, PANEL + 1, 3 * PANEL - 1])
def test_a_convolution(width: int, pieces: int, reach: int, rows: int) -> None:
    window = 2 * reach + 1
    weights, bias = numbers(pieces, width, window * width), numbers(pieces, width)
    scale, shift = numbers(width), 1 + numbers(width)
    inputs = numbers(rows + 2 * reach, width)
    out = np.full_like(inputs, 7)
    layer = Maxout(weights, bias)
    convolve(inputs, layer.weights, layer.biases, scale, shift, inputs, out)

    windows = sliding_window_view(inputs, (window, width)).reshape(rows, -1)
    middle = slice(reach, reach + rows)
    wanted = normalized(maxout(windows, weights, bias), scale, shift, inputs[middle])
    np.testing.assert_allclose(out[middle], wanted, rtol=1e-3, atol=1e-4)
    assert (out[:reach] == 7).all()
    assert (out[reach + rows :] == 7).all()


@pytest.mark.skipif(
    not amx.usable(), reason="this processor has no AMX, or Linux does not allow it"
)
@pytest.mark.parametrize(("width", "pieces", "reach"), [(96, 3, 1), *SHAPES[1:3], (33, 3, 1)])
@pytest.mark.parametrize("rows", [1, 15, PANEL, PANEL + 17, 3 * PANEL - 1])
def test_a_convolution_with_amx_is_as_exact(width: int, pieces: int, reach: int, rows: int) -> None:
    """As one in 32 bits: its errors, against 64 bits, are no larger than twice those of numpy."""
    window = 2 * reach + 1
    weights, bias = numbers(pieces, width, window * width), numbers(pieces, width)
    inputs = numbers(rows + 2 * reach, width)
    zeros, ones = np.zeros(width, np.float32), np.ones(width, np.float32)
    out = np.full_like(inputs, 7)
    biases = Maxout(weights, bias).biases
    amx.convolve_split(inputs, amx.split_weights(weights, window), biases, ones, zeros, inputs, out)

    windows = sliding_window_view(inputs, (window, width)).reshape(rows, -1)
    middle = slice(reach, reach + rows)
    exact, usual = (
        normalized(
            maxout(windows.astype(kind), weights.astype(kind), bias), ones, zeros, inputs[middle]
        )
        for kind in (np.float64, np.float32)
    )
    allowed = 2 * np.abs(usual - exact).max(initial=1e-6)
    np.testing.assert_allclose(out[middle], exact, rtol=0, atol=allowed)
    assert (out[:reach] == 7).all()
    assert (out[reach + rows :] == 7).all()


def test_floats_are_the_sums_of_their_parts() -> None:
    values = np.concatenate([numbers(1000) * 1e4, [0, -0.0, 1, 1 + 2**-23, -(2**-20)]])
    values = values.astype(np.float32)
    parts = amx.split(values).astype(np.uint32) << np.uint32(16)
    assert (parts.view(np.float32).astype(np.float64).sum(axis=0) == values).all()


def test_amx_is_used_only_where_numba_compiles_for_it() -> None:
    program = "from daskingest.recognizer import amx\nprint(amx.usable())\n"
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"
    assert not amx.usable() or "+amx-bf16" in FEATURES


@pytest.mark.parametrize(("width", "pieces", "reach"), SHAPES)
def test_a_convolution_of_known_products(width: int, pieces: int, reach: int) -> None:
    window, kinds, rows = 2 * reach + 1, 50, 20
    weights, bias = numbers(pieces, width, window * width), numbers(pieces, width)
    scale, shift = numbers(width), 1 + numbers(width)
    embedded = numbers(kinds, width)
    types = np.random.default_rng(1).integers(kinds, size=rows + 2 * reach).astype(np.int32)
    by_place = weights.reshape(pieces, width, window, width)
    products = np.zeros((kinds, window, pieces, whole_vectors(width)), np.float32)
    products[..., :width] = np.einsum("powi,ki->kwpo", by_place, embedded)
    inputs = embedded[types]
    out, wanted = np.zeros_like(inputs), np.zeros_like(inputs)
    layer = Maxout(weights, bias)
    convolve_types(types, embedded, products, layer.biases, scale, shift, out)
    convolve(inputs, layer.weights, layer.biases, scale, shift, inputs, wanted)
    np.testing.assert_allclose(out, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("chosen", [[], [3], [5, 5, 0], list(range(40))])
def test_the_best_of_a_network(chosen: list[int]) -> None:
    vectors, rows = numbers(40, 96), np.array(chosen, np.intp)
    weights, bias = numbers(2, 64, 96), numbers(2, 64)
    upper, upper_bias = numbers(37, 64), numbers(37)
    upper[30], upper_bias[30] = upper[4], upper_bias[4]  # as good, so the first is taken
    names = np.arange(100, 137, dtype=np.int32)
    out = np.empty(len(rows), np.int32)
    hidden, last = Maxout(weights, bias), Maxout(upper[None], upper_bias)
    layers = hidden.weights, hidden.biases, last.weights, last.biases
    best_outputs(vectors, rows, *layers, names, out)
    scores = maxout(vectors[rows], weights, bias) @ upper.T + upper_bias
    assert (out == names[_first_best(scores)]).all()
    assert len(rows) < 40 or 104 in out


def _first_best(scores: Floats) -> Indices:
    """Where the greatest score is, or one that rounding alone makes smaller."""
    near: Indices = (scores > scores.max(axis=1, keepdims=True) - 1e-4).argmax(axis=1)
    return near


def test_too_few_rows() -> None:
    layer, scale = Maxout(numbers(1, 8, 24), numbers(8)), numbers(8)
    inputs = numbers(ROWS + 1, 8)
    with pytest.raises(ValueError, match="too few rows"):
        convolve(inputs, layer.weights, layer.biases, scale, scale, inputs, inputs.copy())


@pytest.mark.parametrize("change", [np.asfortranarray, np.float64])
def test_arrays_of_another_layout(change: Callable[[Floats], Floats]) -> None:
    layer, scale = Maxout(numbers(1, 8, 24), numbers(8)), numbers(8)
    inputs = numbers(ROWS + 2, 8)
    with pytest.raises(TypingError, match="expected a C-ordered array of float32"):
        convolve(inputs, change(layer.weights), layer.biases, scale, scale, inputs, inputs.copy())


def test_where_numba_may_not_compile_spacy_computes() -> None:
    program = (
        "from daskingest.extraction import entities_in\n"
        "from daskingest.models import find_model\n"
        "print(entities_in('Angela Merkel lives.', find_model()))\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[(0, 13, 'PERSON')]\n"
    assert "left to spaCy, which is slower: NUMBA_DISABLE_JIT is set" in result.stderr


def test_what_was_compiled_is_kept_until_any_of_its_sources_changes() -> None:
    cache: Any = convolve_types
    stamp = cache._cache._cache_file._source_stamp
    assert {"kernels.py", "vectors.py", "amx.py", "compiling.py"} <= {name for name, *_ in stamp}


@pytest.mark.slow
def test_of_processes_that_start_together_one_compiles(tmp_path: Path) -> None:
    program = (
        "from daskingest import models\n"
        "from daskingest.recognizer import kernels\n"
        "models.load_model(models.find_model())\n"
        "print(sum(kernels.convolve_types.stats.cache_misses.values()))\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    compiled = [process.communicate()[0].strip() for process in processes]
    assert sorted(compiled) == ["0", "0", "1"]
