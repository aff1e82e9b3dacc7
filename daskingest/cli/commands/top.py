"""`top`: a publication's most frequent words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from daskingest.cli.options import AsJson
from daskingest.cli.output import harmless, note, print_json
from daskingest.settings import DEFAULT_STORE, Option, Store

if TYPE_CHECKING:
    from daskingest.stores import Word


def top(
    publication: Annotated[str, typer.Argument(help="Its name; case and spacing don't matter.")],
    number: Annotated[int, Option("Number of words to show.", name="-n", min=1)] = 20,
    label: Annotated[
        str | None, Option("Only entities of this type, such as ORG or PERSON.")
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Show the most frequent entities of a publication."""
    from daskingest.stores import open_store
    from daskingest.stores.reading import find_publication

    label = label.upper() if label else None
    with open_store(store) as opened:
        key = find_publication(opened, publication).key
        found = opened.words(key, number, label=label)
    if as_json:
        print_json(
            [
                {"word": each.word, "name": each.name, "count": each.count, "labels": each.labels}
                for each in found
            ]
        )
    elif label and not found:
        note(f"{harmless(publication)} has no entities with the label {label}")
    else:
        Console().print(_table(found))


def _table(words: list[Word]) -> Table:
    table = Table("word", box=None)
    table.add_column("count", justify="right")
    table.add_column("labels")
    for each in words:
        labels = sorted(each.labels.items(), key=lambda item: (-item[1], item[0]))
        text = ", ".join(f"{name} {count:,}" for name, count in labels)
        table.add_row(harmless(each.name), f"{each.count:,}", text)
    return table
