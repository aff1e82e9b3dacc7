"""The kinds of arrays that the recognizer's parts hand each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]
Attributes = NDArray[np.uint64]
"""Token attributes, as `Doc.to_array` gives them: (tokens, attributes)."""
