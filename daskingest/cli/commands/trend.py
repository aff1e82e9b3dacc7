"""`trend`: words from month to month."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from daskingest.cli.options import AsJson
from daskingest.cli.output import harmless, note, print_json, print_table
from daskingest.months import month_text
from daskingest.settings import DEFAULT_STORE, Option
from daskingest.shared_options import Store
from daskingest.shown import NEWS, Aliases, Since, Until
from daskingest.text import as_unicode, word_of

if TYPE_CHECKING:
    from daskingest.stores.periods import Trend

_BARS = "\N{LOWER ONE EIGHTH BLOCK}▂▃▄▅▆▇█"
_LINES = 12  # publications that are shown for a word
_STEPS = (1, 3, 12, 60, 120)  # months that a bar is for
_WIDTH = 42  # bars, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Where and when."""

    publication: Annotated[str | None, Option("Only in this publication.", shown="all")] = None
    since: Since = None
    until: Until = None


def trend(
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Words, or names of several words.")
    ],
    wanted: Wanted,
    store: Store = DEFAULT_STORE,
    aliases: Aliases = NEWS,
    as_json: AsJson = False,
) -> None:
    """Show how often words are mentioned from month to month.

    The rates are per 1,000 articles, of those that have a date. A line for each publication that
    mentions the word, the most often first; a bar for each month, the highest for the month with
    most mentions per article.
    """
    from daskingest.stores.periods import period_of, trends_of
    from daskingest.stores.reading import find_publication, open_to_read

    period = period_of(wanted.since, wanted.until)
    with open_to_read(store, aliases) as opened:
        name = wanted.publication
        publications = [find_publication(opened, name)] if name else opened.publications()
        asked = (word_of(as_unicode(each)) for each in words)
        keys = list(dict.fromkeys(map(opened.counted_as, asked)))
        found = trends_of(opened, keys, publications, period)
    for key in keys:
        if all(each.word.word != key or not each.mentions for each in found):
            note(f"no article with a date mentions {key!r}; words are names as `top` shows them")
    if as_json:
        print_json([each.to_json() for each in found])
    else:
        for key in keys:
            _show([each for each in found if each.word.word == key and each.mentions])


def _show(trends: list[Trend]) -> None:
    if not trends:
        return
    shown = trends[:_LINES]
    first = min(min(each.articles) for each in shown)
    last = max(max(each.articles) for each in shown)
    step = next((each for each in _STEPS if (last - first) // each < _WIDTH), _STEPS[-1])
    first, last = first // step * step, last // step * step
    table = Table(box=None, title_justify="left", title_style="bold")
    table.title = harmless(trends[0].word.name)
    table.add_column("publication")
    table.add_column("mentions", justify="right")
    table.add_column(f"from {month_text(first)} to {month_text(last)}", no_wrap=True)
    table.add_column("most per 1,000 articles", justify="right")
    for each in shown:
        rates = each.rates(step)
        month = max(rates, key=lambda month: rates[month])
        table.add_row(
            harmless(each.publication.name),
            f"{sum(each.mentions.values()):,}",
            bars(rates, range(first, last + 1, step)),
            f"{rates[month]:,.1f} in {_named(month, step)}",
        )
    print_table(table)
    if len(trends) > _LINES:
        note(f"and {len(trends) - _LINES:,} more publications; --json has all")


def _named(month: int, step: int) -> str:
    text = month_text(month)
    return text if step == 1 else text[:4] if step % 12 == 0 else f"the {step} months from {text}"


def bars(rates: dict[int, float], months: Iterable[int]) -> str:
    """A bar for each month, the highest rate's the highest; a dot for one without articles."""
    highest = max(rates.values(), default=0.0)

    def bar(month: int) -> str:
        if month not in rates:
            return "·"
        rate = rates[month]
        return _BARS[round(rate / highest * (len(_BARS) - 1))] if rate else " "

    return "".join(map(bar, months))
