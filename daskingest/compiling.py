"""Compiles functions with numba, and keeps what was compiled until its source changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")

_SHARED = (Path(__file__), *sorted(Path(__file__).parent.glob("recognizer/*.py")))
"""What compiled functions may consist of besides their own file, at which alone numba looks."""


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
    except RuntimeError:  # there is no folder for the cache
        result = njit(**options)(function)
    with suppress(AttributeError):  # as it has none, or none of its own
        _renew(cast(Any, result)._cache, Path(function.__code__.co_filename))
    return result


def _renew(cache: Any, source: Path) -> None:
    """Have a function's cache forget it when any source changes, and do without where it can't be
    written, as on a full disk."""
    with suppress(OSError):  # in an archive
        files = [(each, each.stat()) for each in (source, *_SHARED)]
        stamp = tuple((each.name, its.st_mtime, its.st_size) for each, its in files)
        cache._cache_file._source_stamp = stamp
    save = cache.save_overload

    def save_if_possible(*args: Any) -> None:
        with suppress(OSError):
            save(*args)

    cache.save_overload = save_if_possible
