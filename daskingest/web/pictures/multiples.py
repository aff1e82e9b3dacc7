"""Small multiples: a small picture over time for each of several things, all of one time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from daskingest.web.pictures.axes import Axes, rounds
from daskingest.web.pictures.over_time import Series, runs
from daskingest.web.pictures.picture import (
    Canvas,
    Drawing,
    Picture,
    amount,
    joined,
    link,
    plain,
    text,
)
from daskingest.web.pictures.steps import step_text
from daskingest.web.wording import short

PANELS = 12

_HEIGHT, _GAP, _TITLE, _FOOT = 112, 20, 22, 20
_BROAD, _NARROW = 4, 2  # panels beside each other


@dataclass(frozen=True, slots=True)
class Panel:
    """One of the pictures, and the address it leads to. `unit` says what its values are."""

    series: Series
    href: str
    unit: str


def multiples(
    panels: Sequence[Panel], what: str, span: tuple[int, int], step: int
) -> Picture | None:
    """A picture for each panel, from one step to another. Each has its own scale, from zero to its
    highest value, which is written where it is. None: there are none."""
    panels = [each for each in panels if each.series.values][:PANELS]
    if not panels:
        return None

    def draw(canvas: Canvas) -> Drawing:
        beside = _NARROW if canvas.narrow else _BROAD
        width = (canvas.width - _GAP * (beside - 1)) / beside
        parts = []
        for place, each in enumerate(panels):
            row, column = divmod(place, beside)
            corner = (column * (width + _GAP), row * (_HEIGHT + _GAP))
            parts.append(_panel(each, corner, width, span, step, canvas.linked))
        rows = -(-len(panels) // beside)
        return Drawing(rows * (_HEIGHT + _GAP) - _GAP, joined(parts))

    return Picture(f"{what}: {len(panels)} small pictures, each with its own scale", draw)


def _panel(
    panel: Panel,
    corner: tuple[float, float],
    width: float,
    span: tuple[int, int],
    step: int,
    linked: bool,
) -> Markup:
    values = panel.series.values
    peak = max(values, key=lambda month: values[month])
    x, y = corner
    edges = (x, x + width, y + _TITLE + 14, y + _HEIGHT - _FOOT)
    axes = Axes(*span, step, 0.0, rounds(values[peak])[-1], *edges)
    highest = f"highest {amount(values[peak])} {panel.unit} in {step_text(peak, step)}"
    told = f"{panel.series.name}: {highest}"
    name = text(x, y + 14, short(panel.series.name, int(width / 8)), "panel")
    ground = Markup('<rect class="ground" x="{}" y="{}" width="{}" height="{}"/>').format(
        *(plain(each) for each in (x, y, width, _HEIGHT))
    )
    drawn = [_area(axes, values), *_labels(axes, values, peak)]
    if linked:
        return joined([link(panel.href, told, ground), name, *drawn])
    return joined([Markup("<g><title>{}</title>{}</g>").format(told, ground), name, *drawn])


def _area(axes: Axes, values: Mapping[int, float]) -> Markup:
    """What is below the line; where there is no value there is a gap."""
    paths = []
    half = axes.each / 2
    for run in runs(sorted(values), axes.step):
        first, last = axes.x(run[0]) - half, axes.x(run[-1]) + half
        places = [(axes.x(month), axes.y(values[month])) for month in run]
        places = [(first, places[0][1]), *places, (last, places[-1][1])]
        line = "L".join(f"{plain(x)} {plain(y)}" for x, y in places)
        paths.append(
            f"M{plain(first)} {plain(axes.bottom)}L{line}L{plain(last)} {plain(axes.bottom)}z"
        )
    return Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/><path class="area series-0" d="{}"/>'
    ).format(plain(axes.left), plain(axes.right), "".join(paths), y=plain(axes.bottom))


def _labels(axes: Axes, values: Mapping[int, float], peak: int) -> list[Markup]:
    """The highest value, and where the time begins and ends."""
    highest = amount(values[peak])
    room = 4.0 * len(highest)
    x = min(max(axes.x(peak), axes.left + room), axes.right - room)
    last = step_text(axes.last, axes.step)
    return [
        text(x, axes.y(values[peak]) - 4, highest, "month"),
        text(axes.left, axes.bottom + 14, step_text(axes.first, axes.step), "start"),
        text(axes.right, axes.bottom + 14, last if axes.last > axes.first else "", "value"),
    ]
