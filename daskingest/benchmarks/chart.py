"""Line charts, one above the other, as SVG and PNG: drawn by matplotlib, which is an extra."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daskingest.errors import DaskingestError

Line = Sequence[tuple[float, float]]

_COLOURS = ("#c8643f", "#3f78ab", "#4c8a48", "#8660b3", "#947a1f", "#5a5f66")
_WIDTH, _HEIGHT = 8.6, 2.8  # inches; the height is a panel's


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart: lines by name, over the same x axis as the other panels'."""

    title: str
    lines: Mapping[str, Line]


def svg(title: str, x_axis: str, panels: Sequence[Panel]) -> str:
    """The panels, one above the other. The same panels give the same text.

    Raises DaskingestError without matplotlib.
    """
    return _drawn(title, x_axis, panels, "svg", metadata={"Date": None}).decode()


def png(title: str, x_axis: str, panels: Sequence[Panel]) -> bytes:
    """The same as PNG."""
    return _drawn(title, x_axis, panels, "png", dpi=120)


def _drawn(title: str, x_axis: str, panels: Sequence[Panel], kind: str, **options: Any) -> bytes:
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DaskingestError(
            "pictures need matplotlib, which is not installed: install it with "
            "`pip install 'daskingest[benchmarks]'`"
        ) from error
    with rc_context({"svg.hashsalt": "daskingest", "svg.fonttype": "none"}):
        figure = Figure(figsize=(_WIDTH, 0.6 + _HEIGHT * len(panels)), layout="constrained")
        figure.suptitle(title, parse_math=False)
        for number, panel in enumerate(panels):
            _draw(figure.add_subplot(len(panels), 1, number + 1), panel, x_axis)
        out = io.BytesIO()
        figure.savefig(out, format=kind, **options)
    return out.getvalue()


def _draw(axes: Any, panel: Panel, x_axis: str) -> None:
    for number, (name, line) in enumerate(panel.lines.items()):
        xs, ys = [x for x, _ in line], [y for _, y in line]
        marker = "o" if len(line) < 10 else None
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(xs, ys, color=colour, label=name, marker=marker)
    axes.set_title(panel.title, loc="left", fontsize="medium", fontweight="bold", parse_math=False)
    axes.set_xlabel(x_axis)
    most = max((y for line in panel.lines.values() for _, y in line), default=1)
    axes.set_ylim(0, 1.08 * most or 1)
    axes.grid(color="#dcd8d1")
    if len(panel.lines) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
