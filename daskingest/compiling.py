"""Compiles functions with numba, and keeps what was compiled until its source changes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")


@functools.cache
def _sources(folder: Path) -> tuple[tuple[str, float, int], ...]:
    """What a folder's compiled functions may consist of: numba looks at their own file alone."""
    return tuple(
        (path.name, path.stat().st_mtime, path.stat().st_size)
        for path in sorted(folder.glob("*.py"))
    )


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile when first called, to run without the GIL. Sums may be computed in any order."""
    return _kept(function, {})


def compiled_over_arrays(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The same for what makes no array and takes no part of one, as a row: so references to arrays
    are not counted, which takes half of the time where each call works on many arrays."""
    return _kept(function, {"_nrt": False})


def _kept(function: Callable[_P, _R], more: dict[str, Any]) -> Callable[_P, _R]:
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"reassoc", "contract", "nsz"},
        "error_model": "numpy",  # so that divisions need no branch
        **more,
    }
    try:
        result: Callable[_P, _R] = njit(cache=True, **options)(function)
        with suppress(AttributeError):
            folder = Path(function.__code__.co_filename).parent
            cast(Any, result)._cache._cache_file._source_stamp = _sources(folder)
    except RuntimeError:  # there is no folder for the cache
        result = njit(**options)(function)
    return result
