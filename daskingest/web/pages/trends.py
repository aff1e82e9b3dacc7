"""Words over time, as the pages of words and of comparisons show them."""

from __future__ import annotations

from collections.abc import Sequence

from daskingest.months import month_text
from daskingest.stores import Months
from daskingest.stores.periods import rates_of, stepped
from daskingest.web import wording
from daskingest.web.downloads import Table
from daskingest.web.pages.timeline import Timeline
from daskingest.web.pictures.over_time import SERIES, Series, lines
from daskingest.web.pictures.picture import Figure

Line = tuple[str, Months, Months]
"""What is shown as one line: its name, the mentions, and the articles that these are of."""


def figure_of(several: Sequence[Line], title: str, timeline: Timeline) -> Figure | None:
    """Mentions per 1,000 articles over time, of the first SERIES. None: there are none."""
    several = several[:SERIES]
    months = [month for _, _, articles in several for month in articles]
    step = timeline.step(months)
    series = [_series(*each, step) for each in several]
    whole = f"{title}, mentions per 1,000 articles by {timeline.step_name(months)}"
    picture = lines(series, whole, step, timeline.log)
    if picture is None:
        return None
    source = "Articles with a date; named entities, counted by daskingest"
    return Figure(whole + (" (logarithmic; ○: none)" if timeline.log else ""), picture, source)


def _series(name: str, mentions: Months, articles: Months, step: int) -> Series:
    rates = rates_of(mentions, articles, step)
    of, among = stepped(mentions, step), stepped(articles, step)
    notes = {
        month: f"{wording.number(rate)} ({of.get(month, 0):,} in {among[month]:,} articles)"
        for month, rate in rates.items()
    }
    return Series(name, rates, notes)


def table_of(several: Sequence[Line], what: str) -> Table:
    """The same by month. `what` is the name of the first column."""
    return Table(
        (what, "month", "count", "articles"),
        [
            (name, month_text(month), mentions.get(month, 0), count)
            for name, mentions, articles in several
            for month, count in sorted(articles.items())
        ],
    )
