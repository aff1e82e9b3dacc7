"""Pictures of values over time: lines, and columns from which months can be chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from daskingest.months import month_text
from daskingest.stores.periods import Period
from daskingest.web.pictures.axes import Axes, decades_around, rounds
from daskingest.web.pictures.picture import (
    FEW,
    Canvas,
    Drawing,
    Picture,
    amount,
    joined,
    link,
    mark,
    plain,
    text,
)
from daskingest.web.pictures.steps import step_text
from daskingest.web.wording import short

SERIES = 6
"""Lines that a picture has at most: as many as there are colours."""

_HEIGHT, _TOP, _BOTTOM, _LEFT, _RIGHT = 280, 12, 28, 56, 12
_NAMES = 175  # room for the lines' names beside them
_NAME, _LINE = 24, 15  # characters of a name; between two of them
_COLUMN_HEIGHT = 200


@dataclass(frozen=True, slots=True)
class Series:
    """What one line shows: a value for each step that has one, and what is told of it.

    A step is known by its first month. Without a note, its value is told.
    """

    name: str
    values: Mapping[int, float]
    notes: Mapping[int, str] = field(default_factory=dict)

    def told(self, month: int, step: int) -> str:
        """What the mark of a step tells."""
        note = self.notes.get(month) or amount(self.values[month])
        return f"{short(self.name, 60)}, {step_text(month, step)}: {note}"


def lines(series: Sequence[Series], what: str, step: int = 1, log: bool = False) -> Picture | None:
    """A line for each series; a step without a value interrupts it. None: there are no values.

    Without `log` values are above a zero line.
    """
    months = sorted({month for each in series for month in each.values})
    if not months:
        return None
    every = [value for each in series for value in each.values.values()]
    low, high = decades_around(every) if log else (0.0, rounds(max(every))[-1])
    focus = len(every) <= FEW

    def draw(canvas: Canvas) -> Drawing:
        names = _NAMES if len(series) > 1 and not canvas.narrow else 0
        right = canvas.width - _RIGHT - names
        edges = (_LEFT, right, _TOP, _HEIGHT - _BOTTOM)
        axes = Axes(months[0], months[-1], step, low, high, *edges, log)
        parts = [*axes.drawn()]
        for place, each in enumerate(series):
            parts += _line(axes, each, place, focus)
        if names:
            parts += _names(axes, series)
        return Drawing(_HEIGHT, joined(parts))

    span = f"{step_text(months[0], step)} to {step_text(months[-1], step)}"
    return Picture(f"{what}, {span}; highest {amount(max(every))}", draw)


def _line(axes: Axes, series: Series, place: int, focus: bool) -> Iterator[Markup]:
    yield Markup('<g class="series-{}">').format(place)
    shown = {m: v for m, v in series.values.items() if v > 0 or not axes.log}
    for run in runs(sorted(shown), axes.step):
        points = " ".join(f"{plain(axes.x(m))},{plain(axes.y(shown[m]))}" for m in run)
        if len(run) > 1:
            yield Markup('<polyline points="{}"/>').format(points)
        else:  # a line of one point cannot be seen
            x, y = points.split(",")
            yield Markup('<circle class="alone" cx="{}" cy="{}" r="2.5"/>').format(x, y)
    for month, value in sorted(series.values.items()):
        kind = "" if month in shown else Markup(' stroke-dasharray="2"')
        shape = Markup('circle cx="{}" cy="{}" r="4"{}').format(
            plain(axes.x(month)), plain(axes.y(value)), kind
        )
        yield mark(shape, series.told(month, axes.step), focus)
    yield Markup("</g>")


def runs(months: Sequence[int], step: int) -> list[list[int]]:
    """The months, where one step follows the other together."""
    found: list[list[int]] = []
    for month in months:
        if found and found[-1][-1] == month - step:
            found[-1].append(month)
        else:
            found.append([month])
    return found


def _names(axes: Axes, series: Sequence[Series]) -> Iterator[Markup]:
    """The lines' names, beside where each ends, apart from each other."""
    ends = []
    for place, each in enumerate(series):
        if each.values:
            ends.append((axes.y(each.values[max(each.values)]), place))
    wanted = [y for y, _ in sorted(ends)]
    for (_, place), y in zip(
        sorted(ends), apart(wanted, _LINE, axes.top, axes.bottom), strict=True
    ):
        name = text(axes.right + 10, y + 4, short(series[place].name, _NAME), "name")
        yield Markup('<g class="series-{}">{}</g>').format(place, name)


def apart(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, which ascend: `least` apart, and from `low` to `high` if there
    is room for all."""
    found: list[float] = []
    for each in wanted:
        found.append(max(each, found[-1] + least if found else low))
    limit = high
    for place in reversed(range(len(found))):
        found[place] = min(found[place], limit)
        limit = found[place] - least
    return found


Choose = Callable[[str, str], str]
"""The address of a page that shows the months from one to another, both of them included."""


def columns(
    series: Series, what: str, step: int, chosen: Period, choose: Choose | None = None
) -> Picture | None:
    """A column for each step. Those that are not `chosen` are pale; each leads to a page that has
    it chosen. None: there are no values."""
    months = sorted(series.values)
    if not months:
        return None
    highest = max(series.values.values())

    def draw(canvas: Canvas) -> Drawing:
        edges = (_LEFT, canvas.width - _RIGHT, _TOP, _COLUMN_HEIGHT - _BOTTOM)
        axes = Axes(months[0], months[-1], step, 0.0, rounds(highest, True)[-1], *edges, whole=True)
        leads = choose if canvas.linked else None
        parts = [_column(axes, series, month, chosen, leads) for month in months]
        inside = joined([*axes.drawn(), Markup('<g class="filled">'), *parts, Markup("</g>")])
        return Drawing(_COLUMN_HEIGHT, inside)

    span = f"{step_text(months[0], step)} to {step_text(months[-1], step)}"
    return Picture(f"{what}, {span}; highest {amount(highest)}", draw, ranged=choose is not None)


def _column(
    axes: Axes, series: Series, month: int, chosen: Period, choose: Choose | None
) -> Markup:
    width, top = max(axes.each * 0.8, 0.8), axes.y(series.values[month])
    inside = any(each in chosen for each in (month, month + axes.step - 1))
    shape = Markup('rect{} x="{}" y="{}" width="{}" height="{}"').format(
        "" if inside else Markup(' fill-opacity=".3"'),
        plain(axes.x(month) - width / 2),
        *(plain(top), plain(width), plain(axes.bottom - top)),
    )
    told = series.told(month, axes.step)
    if choose is None:
        return mark(shape, told, False)
    since, until = month_text(month), month_text(month + axes.step - 1)
    of = Markup(' data-since="{}" data-until="{}"').format(since, until)
    return link(choose(since, until), told, Markup("<{}/>").format(shape), of)
