"""Compiles functions with numba, and keeps what was compiled until its source changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")

_SOURCES = tuple(
    (path.name, path.stat().st_mtime, path.stat().st_size)
    for path in sorted(Path(__file__).parent.glob("*.py"))
)
"""What compiled functions may consist of: numba itself looks at their own file alone."""


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile when first called, to run without the GIL. Sums may be computed in any order."""
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"reassoc", "contract", "nsz"},
        "error_model": "numpy",  # so that divisions need no branch
    }
    try:
        result: Callable[_P, _R] = njit(cache=True, **options)(function)
        with suppress(AttributeError):
            cast(Any, result)._cache._cache_file._source_stamp = _SOURCES
    except RuntimeError:  # there is no folder for the cache
        result = njit(**options)(function)
    return result
