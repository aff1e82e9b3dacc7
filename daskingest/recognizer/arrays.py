"""The types of the arrays that the recognizer's parts exchange."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]
Attributes = NDArray[np.uint64]
"""Token attributes, as from `Doc.to_array`: (tokens, attributes)."""

_LINE = 16  # floats in a line of the cache


def aligned_zeros(*shape: int) -> Floats:
    """Zeros that begin at a line of the cache, so that no vector of a row lies in two of them."""
    room = np.zeros(math.prod(shape) + _LINE, np.float32)
    first = -(room.ctypes.data // room.itemsize) % _LINE
    return room[first : first + math.prod(shape)].reshape(shape)
