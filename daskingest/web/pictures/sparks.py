"""Small pictures within a line of text or a table."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from daskingest.months import month_text

_MOST, _HEIGHT = 60, 20  # columns at most, and their units


def sparkline(months: Mapping[int, float], span: tuple[int, int], what: str = "articles") -> Markup:
    """A small picture of a value for each month of a span, as columns, without figures."""
    first, last = span
    highest = max(months.values(), default=0.0)
    if not highest:
        return Markup()
    width = last - first + 1
    step = max(1, -(-width // _MOST))
    columns: dict[int, float] = {}
    for month, value in months.items():
        place = (month - first) // step
        columns[place] = columns.get(place, 0.0) + value
    top = max(columns.values())
    path = "".join(
        f"M{place} {_HEIGHT}v-{max(_HEIGHT * value / top, 0.5):.1f}h.8V{_HEIGHT}z"
        for place, value in sorted(columns.items())
        if value
    )
    told = f"{what} by month, {month_text(first)} to {month_text(last)}"
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><path d="{}"/></svg>'
    ).format(-(-width // step), _HEIGHT, told, path)
