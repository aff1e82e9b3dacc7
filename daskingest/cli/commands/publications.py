"""`publications`: the publications whose articles were counted."""

from __future__ import annotations

from rich.table import Table

from daskingest.cli.options import AsJson
from daskingest.cli.output import harmless, print_json, print_table
from daskingest.settings import DEFAULT_STORE
from daskingest.shared_options import Store


def publications(store: Store = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """List the publications and their numbers of articles."""
    from daskingest.stores import open_store

    with open_store(store) as opened:
        found = opened.publications()
    if as_json:
        print_json([{"name": p.name, "key": p.key, "count": p.count} for p in found])
        return
    table = Table("publication", box=None)
    table.add_column("articles", justify="right")
    for each in found:
        table.add_row(harmless(each.name), f"{each.count:,}")
    print_table(table)
