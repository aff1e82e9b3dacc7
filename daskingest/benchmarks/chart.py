"""Line charts as SVG, one above the other, that need nothing to be looked at but a browser."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

Line = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 220, 80, 170, 34, 30
_COLOURS = ("#c8643f", "#3f78ab", "#4c8a48", "#8660b3", "#947a1f", "#5a5f66")


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart: lines by name, over the same x axis as the other panels'."""

    title: str
    lines: Mapping[str, Line]


def svg(title: str, x_axis: str, panels: Sequence[Panel]) -> str:
    """The panels, one above the other."""
    right = max((x for each in panels for line in each.lines.values() for x, _ in line), default=1)
    height = 40 + len(panels) * (_TOP + _HEIGHT + _BOTTOM)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        _text(_LEFT, 24, title, 'font-size="15"'),
    ]
    for i, panel in enumerate(panels):
        parts += _panel(panel, 40 + i * (_TOP + _HEIGHT + _BOTTOM) + _TOP, right, x_axis)
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, top: float, right: float, x_axis: str) -> list[str]:
    most = max((y for line in panel.lines.values() for _, y in line), default=1) or 1
    step, x_step = _step(most), _step(right or 1)
    most = step * math.ceil(most / step)
    wide = _WIDTH - _LEFT - _RIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + wide * x / (right or 1), top + _HEIGHT * (1 - y / most)

    parts = [_text(_LEFT, top - 10, panel.title, 'font-weight="bold"')]
    for n in range(round(most / step) + 1):
        y = place(0, n * step)[1]
        parts.append(f'<path d="M{_LEFT} {y:.1f}h{wide}" stroke="#dcd8d1"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{n * step:,g}", 'text-anchor="end"'))
    for n in range(int(right / x_step) + 1):
        x = place(n * x_step, 0)[0]
        name = f"{n * x_step:,g}" + (f" {x_axis}" if n == 0 else "")
        parts.append(_text(x, top + _HEIGHT + 18, name))
    for i, (name, line) in enumerate(panel.lines.items()):
        colour = f'"{_COLOURS[i % len(_COLOURS)]}"'
        points = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke={colour}/>')
        parts.append(_text(_LEFT + wide + 12, top + 12 + 18 * i, name, f"fill={colour}"))
    return parts


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'


def _step(most: float) -> float:
    """A round number of which some five make up the most."""
    unit = 10.0 ** math.floor(math.log10(most / 5))
    return next(unit * each for each in (1, 2, 5, 10) if unit * each >= most / 5)
