"""The axes of a picture: where months and values are in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from daskingest.web.pictures.picture import amount, plain, text
from daskingest.web.pictures.steps import step_text

_STEPS = (1, 3, 6, 12, 24, 60, 120, 240, 600, 1200)  # months between two ticks
_TICK = {True: 46, False: 70}  # room for a tick, by whether it is a year
_MOST_GRID = 4  # lines above zero
_MOST_DECADES = 5  # lines of a logarithmic axis


@dataclass(frozen=True, slots=True)
class Axes:
    """From `first` to `last`, which begin a step each, and from `low` to `high`.

    `left`, `right`, `top` and `bottom` are the edges. A logarithmic axis has no place for zero,
    which is put at its bottom. `whole` values have no line between two of them.
    """

    first: int
    last: int
    step: int
    low: float
    high: float
    left: float
    right: float
    top: float
    bottom: float
    log: bool = False
    whole: bool = False

    @property
    def each(self) -> float:
        """The width of a step."""
        return (self.right - self.left) / ((self.last - self.first) // self.step + 1)

    def x(self, month: int) -> float:
        """The middle of the step that begins with a month."""
        return self.left + ((month - self.first) // self.step + 0.5) * self.each

    def y(self, value: float) -> float:
        """The height of a value."""
        if self.log:
            value = max(value, self.low)
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.bottom - part * (self.bottom - self.top)

    def drawn(self) -> Iterator[Markup]:
        """Lines for values, and where years or months begin."""
        values = decades(self.low, self.high) if self.log else rounds(self.high, self.whole)
        for value in values:
            y = self.y(value)
            yield Markup('<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
                plain(self.left), plain(self.right), y=plain(y)
            )
            yield text(self.left - 6, y + 4, amount(value), "value")
        every = self._every()
        for month in range(-(-self.first // every) * every, self.last + 1, every):
            step = self.step if self.step > 12 or every % 12 else 12
            yield text(self.x(month), self.bottom + 18, step_text(month, step), "month")

    def _every(self) -> int:
        """Months between two ticks."""
        possible = [each for each in _STEPS if each % self.step == 0]
        for each in possible:
            room = each / self.step * self.each
            if room >= _TICK[each % 12 == 0 or self.step > 3]:
                return each
        return possible[-1]


def rounds(high: float, whole: bool = False) -> list[float]:
    """Round values from zero to one that is not below `high`, few of them."""
    if high <= 0:
        return [0.0, 1.0]
    unit = 10.0 ** math.floor(math.log10(high / _MOST_GRID))
    step = next(n * unit for n in (1, 2, 5, 10) if n * unit * _MOST_GRID >= high * 0.999)
    step = max(step, 1.0) if whole else step
    return [n * step for n in range(math.ceil(high / step * 0.999) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten from one to the other, not too many."""
    first, last = round(math.log10(low)), round(math.log10(high))
    every = -(-(last - first) // _MOST_DECADES) or 1
    return [10.0**n for n in range(first, last + 1, every)]


def rounds_between(low: float, high: float) -> list[float]:
    """Round values of a logarithmic axis: 1, 2, 5, 10 and so on, or powers of ten alone."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    each = (1, 2, 5) if last - first <= 3 else (1,)
    every = (n * 10.0**power for power in range(first, last + 1) for n in each)
    return [value for value in every if low <= value <= high]


def decades_around(values: Iterable[float]) -> tuple[float, float]:
    """The powers of ten that the values above zero lie between."""
    known = [each for each in values if each > 0] or [1.0]
    low = math.floor(math.log10(min(known)) + 1e-9)
    return 10.0**low, 10.0 ** max(low + 1, math.ceil(math.log10(max(known)) - 1e-9))
