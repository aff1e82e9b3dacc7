"""Steps of time: months, or so many of them together that a picture can show."""

from __future__ import annotations

from collections.abc import Collection

from daskingest.months import month_text

STEPS = {"month": 1, "quarter": 3, "year": 12, "decade": 120}
"""Months in a step, by name. Each divides the next, and January 1970 begins one of each."""

_MOST = 72  # steps, unless other ones are asked for


def step_for(months: Collection[int]) -> int:
    """The smallest step of which few cover the months."""
    span = max(months) - min(months) + 1 if months else 1
    return next((step for step in STEPS.values() if span <= _MOST * step), STEPS["decade"])


def name_of(step: int) -> str:
    """What a step is called."""
    return next(name for name, its in STEPS.items() if its == step)


def step_text(month: int, step: int) -> str:
    """The step that begins with a month: `2016-06`, `2016 Q2`, `2016` or `2010s`."""
    written = month_text(month)
    if step == 1:
        return written
    year = written[:4]
    if step == 3:
        return f"{year} Q{month % 12 // 3 + 1}"
    return year if step == 12 else f"{year}s"
