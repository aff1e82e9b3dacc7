"""Extraction without a model, for benchmarks of everything else: names that stand between marks.

A Dask preload for the workers, which find what `daskingest.sample` has put into marked articles:

    DASK_DISTRIBUTED__WORKER__PRELOAD='["daskingest.benchmarks.recorded"]' daskingest run-csv …
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from daskingest import models
from daskingest.recognizer.finder import Found
from daskingest.sample.maker import MARK_END, MARKS
from daskingest.text import EntitySpan

PRELOAD = {"DASK_DISTRIBUTED__WORKER__PRELOAD": f'["{__name__}"]'}
"""The environment of a program whose workers do so."""

_NAME = re.compile(f"([{''.join(MARKS.values())}])([^{MARK_END}]*){MARK_END}")
_LABELS = {mark: label for label, mark in MARKS.items()}


class Recorded:
    """Takes the place of a `Finder`."""

    max_length = 1_000_000

    @property
    def nlp(self) -> Recorded:
        """What is asked of a pipeline is answered here."""
        return self

    def memory_zone(self) -> AbstractContextManager[None]:
        """There is nothing to be freed."""
        return nullcontext()

    def read(self, texts: Sequence[str]) -> list[Found]:
        """The names in each text, in order, and the number of its words."""
        return [Found(_names(text), len(text.split())) for text in texts]


def _names(text: str) -> list[EntitySpan]:
    return [(*name.span(2), _LABELS[name[1]]) for name in _NAME.finditer(text)]


def dask_setup(worker: Any) -> None:
    """Called by Dask in each worker's process, before it has a task."""
    models._load = lambda model, recognizer: Recorded()  # type: ignore[assignment]
