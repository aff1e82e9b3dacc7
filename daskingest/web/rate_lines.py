"""A picture of the last minutes: articles a second, coming in and counted, as two lines."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from daskingest.service.rates import HISTORY_SECONDS, Rate
from daskingest.web.pictures.axes import rounds
from daskingest.web.wording import number

_WIDTH, _HEIGHT = 400, 120
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 70, 10, 22  # margins
_APART = 14  # units between the names of two lines

_MINUTES = (2, 4, int(HISTORY_SECONDS / 60))
"""What a picture may show: the least of these that has the whole history."""


def rate_lines(history: Sequence[Rate], arrive: bool = True) -> Markup:
    """The picture of a history, whose last moment is now; empty, if there are less than two.

    Without `arrive` nothing is known of articles that come in, only of those that are counted.
    """
    if len(history) < 2:
        return Markup()
    now = history[-1].at
    minutes = next((each for each in _MINUTES if 60 * each >= now - history[0].at), _MINUTES[-1])
    top = rounds(max(max(each.accepted, each.saved) for each in history))[-1]

    def y(value: float) -> float:
        return round(_HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM), 1)

    def x(at: float) -> float:
        share = max(0.0, 1 - (now - at) / (60 * minutes))
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    lines = {"counted": [each.saved for each in history]}
    if arrive:
        lines = {"coming in": [each.accepted for each in history]} | lines
    told = f"Articles a second over the last {minutes} minutes: " + "; ".join(
        f"{name}, {number(values[-1])} now, {number(max(values))} at most"
        for name, values in lines.items()
    )
    parts = [
        Markup('<svg class="picture rates" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            _WIDTH, _HEIGHT, told
        ),
        *(_grid(y(value), value) for value in (0.0, top)),
        *(
            Markup('<text class="month" x="{}" y="{}">{}</text>').format(
                x(now - 60 * ago), _HEIGHT - 6, f"{ago} min ago" if ago else "now"
            )
            for ago in (minutes, minutes // 2, 0)
        ),
    ]
    ends = _apart([y(values[-1]) for values in lines.values()])
    for (place, (name, values)), end in zip(enumerate(lines.items()), ends, strict=True):
        points = " ".join(
            f"{x(each.at)},{y(value)}" for each, value in zip(history, values, strict=True)
        )
        parts.append(
            Markup(
                '<g class="series-{}"><polyline points="{}"/><text class="name" x="{}" y="{}">'
                "{}</text></g>"
            ).format(place, points, _WIDTH - _RIGHT + 8, end + 4, name)
        )
    return Markup("").join([*parts, Markup("</svg>")])


def _grid(y: float, value: float) -> Markup:
    return Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>'
        '<text class="value" x="{}" y="{}">{}</text>'
    ).format(
        _LEFT,
        _WIDTH - _RIGHT,
        _LEFT - 6,
        y + 4,
        number(int(value) if value.is_integer() else value),
        y=y,
    )


def _apart(heights: list[float]) -> list[float]:
    """Heights of one or two names beside the ends of their lines, so that they can be read."""
    low, high = min(heights), max(heights)
    short = max(0.0, _APART - (high - low)) / 2
    if len(heights) < 2 or not short:
        return heights
    return [low - short, high + short] if heights[0] <= heights[1] else [high + short, low - short]
