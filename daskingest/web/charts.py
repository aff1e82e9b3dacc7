"""Charts of counts: Bokeh bar charts."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from daskingest.web.wording import short

_ROW, _MARGIN = 22, 60  # pixels
_THEMES = {"light": ("#c8643f", "#1f2328", "#dcd8d1"), "dark": ("#d9795a", "#e8e6e3", "#373b41")}


def bokeh_js() -> Path:
    """The BokehJS file of the installed package."""
    spec = importlib.util.find_spec("bokeh")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "server" / "static" / "js" / "bokeh.min.js"


@functools.cache
def bokeh_version() -> str:
    """The version of BokehJS, without importing Bokeh, which is slow."""
    return importlib.metadata.version("bokeh")


def bars(words: Sequence[tuple[str, int]], theme: str) -> dict[str, object]:
    """A bar chart of words and their counts, as JSON for BokehJS; `theme` is light or dark."""
    from bokeh.embed import json_item
    from bokeh.models import BasicTickFormatter, ColumnDataSource, DataRange1d
    from bokeh.plotting import figure

    part, ink, line = _THEMES[theme]
    places = list(range(len(words)))[::-1]
    plot = figure(
        height=_MARGIN + _ROW * len(words),
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="hover",
        tooltips=[("word", "@word"), ("count", "@count{0,0}")],
        x_axis_label="mentions",
        x_range=DataRange1d(start=0),
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
    )
    source = ColumnDataSource(
        {"place": places, "count": [n for _, n in words], "word": [_plain(w, 60) for w, _ in words]}
    )
    plot.hbar(y="place", right="count", height=0.75, color=part, source=source)
    plot.yaxis.ticker = places
    plot.yaxis.major_label_overrides = {
        place: _plain(word, 24) for place, (word, _) in zip(places, words, strict=True)
    }
    plot.ygrid.visible = False
    plot.xgrid.grid_line_color = line
    plot.xaxis.formatter = BasicTickFormatter(use_scientific=False)
    for axis in plot.axis:
        axis.axis_label_text_color = axis.major_label_text_color = ink
        axis.axis_line_color = axis.major_tick_line_color = line
        axis.minor_tick_line_color = None
    return dict(json_item(plot))


def _plain(word: str, limit: int) -> str:
    """The word, cut, and without what Bokeh would take for TeX and load more scripts for."""
    for opening in ("$$", "\\[", "\\("):
        word = word.replace(opening, opening[0] + " " + opening[1])
    return short(word, limit)
