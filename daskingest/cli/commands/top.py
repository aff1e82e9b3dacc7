"""`top`: a publication's most frequent words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from daskingest.cli.options import AsJson
from daskingest.cli.output import harmless, note, print_json, print_table
from daskingest.settings import DEFAULT_STORE, Option
from daskingest.shared_options import Store
from daskingest.shown import NEWS, Aliases, Since, Until

if TYPE_CHECKING:
    from daskingest.stores import ReadableStore, Word
    from daskingest.stores.periods import Period

_TOLD = 3  # words with aliases


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which words are shown."""

    number: Annotated[int, Option("Number of words to show.", name="-n", min=1)] = 20
    label: Annotated[str | None, Option("Only entities of this type, such as ORG or PERSON.")] = (
        None
    )
    since: Since = None
    until: Until = None


def top(
    publication: Annotated[str, typer.Argument(help="Its name; case and spacing don't matter.")],
    wanted: Wanted,
    store: Store = DEFAULT_STORE,
    aliases: Aliases = NEWS,
    as_json: AsJson = False,
) -> None:
    """Show the most frequent entities of a publication.

    They are those of all its articles, or of some months. Labels are not counted by month: for some
    months they are not shown, and --label gives the words
    that have it at any time.
    """
    from daskingest.stores.periods import period_of
    from daskingest.stores.reading import find_publication, open_to_read

    label = wanted.label.upper() if wanted.label else None
    period = period_of(wanted.since, wanted.until)
    with open_to_read(store, aliases) as opened:
        key = find_publication(opened, publication).key
        if period:
            found = _within(opened, key, period, wanted.number, label)
        else:
            found = opened.words(key, wanted.number, label=label)
    if as_json:
        print_json([each.to_json() for each in found])
    elif not found and (label or period):
        what = f"with the label {label}" if label else "in those months"
        note(f"{harmless(publication)} has no entities {what}")
    else:
        print_table(_table(found))
        _tell_aliases(found)


def _within(
    store: ReadableStore, key: str, period: Period, number: int, label: str | None
) -> list[Word]:
    from daskingest.stores.periods import MOST_READ, words_within

    found, certain = words_within(store, key, period, number, label)
    if not certain:
        note(f"of the publication's {MOST_READ:,} most frequent words; rarer ones may be missing")
    return found


def _tell_aliases(words: list[Word]) -> None:
    """Say which words are counted as one, of those that are shown."""
    merged = [each for each in words if each.aliases]
    for each in merged[:_TOLD]:
        its = ", ".join(word.name for word in each.aliases)
        note(f"{harmless(each.name)}: counted as {harmless(its)}")
    if merged:
        more = f"and {len(merged) - _TOLD:,} more, see --json; " if len(merged) > _TOLD else ""
        note(f"{more}--aliases none counts each alone")


def _table(words: list[Word]) -> Table:
    table = Table("word", box=None)
    table.add_column("count", justify="right")
    table.add_column("labels")
    for each in words:
        labels = sorted(each.labels.items(), key=lambda item: (-item[1], item[0]))
        text = ", ".join(f"{name} {count:,}" for name, count in labels)
        table.add_row(harmless(each.name), f"{each.count:,}", text)
    return table
