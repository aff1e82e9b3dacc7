"""Counts who and what each publication writes about. Its public names, imported when first used.

`publications(store)`, `words(store)` and `trend(word)` return counts as pandas DataFrames,
`open_store(url)` the store itself; `run(file)` counts a file, `read_articles(file)` opens one as a
Dask DataFrame (or `read_csv(file)`, with all columns), and `extract_entities(series)` finds the
entities in a Dask Series of texts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daskingest.errors import DaskingestError, StoreError, UsageError
    from daskingest.notebook import (
        extract_entities,
        publications,
        read_articles,
        read_csv,
        run,
        run_csv,
        trend,
        words,
    )
    from daskingest.stores import open_store

__version__ = "0.1.0"

_HOMES = {
    "DaskingestError": "errors",
    "StoreError": "errors",
    "UsageError": "errors",
    "extract_entities": "notebook",
    "open_store": "stores",
    "publications": "notebook",
    "read_articles": "notebook",
    "read_csv": "notebook",
    "run": "notebook",
    "run_csv": "notebook",
    "trend": "notebook",
    "words": "notebook",
}

__all__ = [
    "DaskingestError",
    "StoreError",
    "UsageError",
    "__version__",
    "extract_entities",
    "open_store",
    "publications",
    "read_articles",
    "read_csv",
    "run",
    "run_csv",
    "trend",
    "words",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"daskingest.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'daskingest' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
