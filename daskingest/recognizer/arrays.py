"""The types of the arrays that the recognizer's parts exchange."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]
Attributes = NDArray[np.uint64]
"""Token attributes, as from `Doc.to_array`: (tokens, attributes)."""
