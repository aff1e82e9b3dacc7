"""Pictures of counts over time, as SVG: they need no script, and take their colours from the page.

Each value is told when it is pointed at, or reached with the keyboard unless there are very many,
and is in the table that can be had beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from daskingest.months import month_text
from daskingest.web.wording import number, short

SERIES = 6
"""Lines that a picture has at most: as many as there are colours."""

_WIDTH, _HEIGHT = 800, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 28  # margins
_MOST_TICKS = 10
_SPARKS, _SPARK_HEIGHT = 60, 20  # columns at most, and their units
_FEW = 100  # values that are no burden to whoever goes through a page with the keyboard
_STEPS = (1, 3, 6, 12, 24, 60, 120, 240)  # months between two ticks


@dataclass(frozen=True, slots=True)
class Series:
    """What one line shows: a value for each month."""

    name: str
    values: Mapping[int, float]


def lines(series: Sequence[Series], what: str) -> Markup:
    """A line for each series; a month without a value interrupts it. `what` is shown."""
    return _picture(series, what, _line)


def columns(series: Series, what: str) -> Markup:
    """A column for each month."""
    return _picture([series], what, _columns)


def _picture(series: Sequence[Series], what: str, draw: Draw) -> Markup:
    months = sorted({month for each in series for month in each.values})
    if not months:
        return Markup()
    highest = max((value for each in series for value in each.values.values()), default=0.0)
    few = sum(len(each.values) for each in series) <= _FEW
    frame = _Frame(months[0], months[-1], top_of(highest), few)
    told = f"{what}, {month_text(months[0])} to {month_text(months[-1])}; highest {_plain(highest)}"
    parts = [
        Markup(
            '<svg class="picture" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" '
            'role="group" aria-label="{}">'
        ).format(_WIDTH, _HEIGHT, told),
        *frame.grid(),
    ]
    for place, each in enumerate(series):
        parts += draw(frame, each, place)
    return Markup("").join([*parts, Markup("</svg>")])


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where months and values are in a picture."""

    first: int
    last: int
    top: float
    few: bool

    def reached(self, told: Markup) -> Markup:
        """The attributes of a value: it is told, and reached by keyboard where there are few."""
        focus = Markup('tabindex="0"' if self.few else "")
        return Markup('role="img" aria-label="{}" {}').format(told, focus)

    @property
    def step(self) -> float:
        """The width of a month."""
        return (_WIDTH - _LEFT - _RIGHT) / (self.last - self.first + 1)

    def x(self, month: float) -> float:
        """The middle of a month."""
        return round(_LEFT + (month - self.first + 0.5) * self.step, 1)

    def y(self, value: float) -> float:
        """The height of a value."""
        return round(_HEIGHT - _BOTTOM - value / self.top * (_HEIGHT - _TOP - _BOTTOM), 1)

    def grid(self) -> list[Markup]:
        """Lines for values, and where years or months begin."""
        found = []
        for value in (0.0, self.top / 2, self.top):
            found.append(
                Markup(
                    '<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>'
                    '<text class="value" x="{}" y="{}">{}</text>'
                ).format(
                    *(_LEFT, _WIDTH - _RIGHT, _LEFT - 6, self.y(value) + 4, _plain(value)),
                    y=self.y(value),
                )
            )
        span = self.last - self.first + 1
        every = next((each for each in _STEPS if span / each <= _MOST_TICKS), _STEPS[-1])
        for month in range(-(-self.first // every) * every, self.last + 1, every):
            text = month_text(month)[:4] if every % 12 == 0 else month_text(month)
            found.append(
                Markup('<text class="month" x="{}" y="{}">{}</text>').format(
                    self.x(month), _HEIGHT - 8, text
                )
            )
        return found


def sparkline(months: Mapping[int, float], span: tuple[int, int], what: str = "articles") -> Markup:
    """A small picture of a value for each month of a span, as columns, without figures."""
    first, last = span
    highest = max(months.values(), default=0.0)
    if not highest:
        return Markup()
    width = last - first + 1
    step = max(1, -(-width // _SPARKS))
    columns: dict[int, float] = {}
    for month, value in months.items():
        place = (month - first) // step
        columns[place] = columns.get(place, 0.0) + value
    top = max(columns.values())
    path = "".join(
        f"M{place} {_SPARK_HEIGHT}v-{max(_SPARK_HEIGHT * value / top, 0.5):.1f}h.8V{_SPARK_HEIGHT}z"
        for place, value in sorted(columns.items())
    )
    told = f"{what} by month, {month_text(first)} to {month_text(last)}"
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><path d="{}"/></svg>'
    ).format(-(-width // step), _SPARK_HEIGHT, told, path)


Draw = Callable[[_Frame, Series, int], list[Markup]]
"""Draws a series in its place among all."""


def _line(frame: _Frame, series: Series, place: int) -> list[Markup]:
    runs: list[list[int]] = []
    for month in sorted(series.values):
        if runs and runs[-1][-1] == month - 1:
            runs[-1].append(month)
        else:
            runs.append([month])
    parts = [Markup('<g class="series-{}">').format(place)]
    for run in runs:
        points = " ".join(f"{frame.x(month)},{frame.y(series.values[month])}" for month in run)
        parts.append(Markup('<polyline points="{}"/>').format(points))
    for month, value in sorted(series.values.items()):
        told = _told(series.name, month, value)
        parts.append(
            Markup('<circle {} cx="{}" cy="{}" r="3"><title>{told}</title></circle>').format(
                *(frame.reached(told), frame.x(month), frame.y(value)), told=told
            )
        )
    return [*parts, Markup("</g>")]


def _columns(frame: _Frame, series: Series, place: int) -> list[Markup]:
    width = round(max(frame.step * 0.8, 0.8), 1)
    parts = [Markup('<g class="series-{}">').format(place)]
    for month, value in sorted(series.values.items()):
        told = _told(series.name, month, value)
        parts.append(
            Markup(
                '<rect {} x="{}" y="{}" width="{}" height="{}"><title>{told}</title></rect>'
            ).format(
                *(frame.reached(told), round(frame.x(month) - width / 2, 1), frame.y(value)),
                *(width, round(frame.y(0) - frame.y(value), 1)),
                told=told,
            )
        )
    return [*parts, Markup("</g>")]


def _told(name: str, month: int, value: float) -> Markup:
    return escape(f"{short(name, 60)}, {month_text(month)}: {_plain(value)}")


def _plain(value: float) -> str:
    return number(int(value) if float(value).is_integer() else value)


def top_of(highest: float) -> float:
    """A round number that is not lower."""
    if highest <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(highest))
    return next(each * unit for each in (1, 2, 4, 5, 10) if each * unit >= highest * 0.999)
