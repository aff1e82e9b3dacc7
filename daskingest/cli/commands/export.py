"""`export`: all counts as a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from daskingest.cli.output import note
from daskingest.errors import UsageError
from daskingest.settings import DEFAULT_STORE, Option
from daskingest.shared_options import Store
from daskingest.shown import NO_ALIASES, Aliases


class By(StrEnum):
    """What counts are by."""

    LABEL = "label"
    MONTH = "month"


def export(
    out: Annotated[
        Path,
        typer.Argument(
            help="The file to write; its name ends in .csv or .parquet. `-` is standard output, as "
            "CSV."
        ),
    ],
    by: Annotated[By, Option("What counts are by: the labels of words, or the months.")] = By.LABEL,
    store: Store = DEFAULT_STORE,
    aliases: Aliases = NO_ALIASES,
) -> None:
    """Write all counts to a file.

    Its columns are publication, word, label, count, and the word as it is written; by month:
    publication, word, month, count, of articles with a date. Every word is written as it
    was counted, unless --aliases says which of them are one.
    """
    from daskingest.stores.export import write_counts, write_months
    from daskingest.stores.reading import open_to_read

    write = write_counts if by is By.LABEL else write_months
    with open_to_read(store, aliases) as opened:
        try:
            rows = write(opened, out)
        except BrokenPipeError:  # as of `export - | head`, which has seen enough
            return
        except OSError as error:
            raise UsageError(f"cannot write to standard output: {error.strerror}") from None
    note(f"{rows:,} rows in {out}")
