"""`export`: all counts as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daskingest.cli.output import note
from daskingest.settings import DEFAULT_STORE, Store


def export(
    out: Annotated[
        Path, typer.Argument(help="The file to write; its name ends in .csv or .parquet.")
    ],
    store: Store = DEFAULT_STORE,
) -> None:
    """Write all counts to a file: publication, word, label, count."""
    from daskingest.stores import open_store
    from daskingest.stores.export import write_counts

    with open_store(store) as opened:
        rows = write_counts(opened, out)
    note(f"{rows:,} rows in {out}")
