"""`sample`: made-up articles, with a progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from daskingest.errors import UsageError
from daskingest.settings import Option
from daskingest.text import size_text


def sample(
    out: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    articles: Annotated[int | None, Option("Number of articles.", min=1)] = None,
    size: Annotated[int | None, Option("Minimum size in bytes.", name="--bytes", min=1)] = None,
    publications: Annotated[
        int | None,
        Option(
            "How many publications there are. The first publishes most, the others ever less.",
            shown="the bundled articles' eight",
            min=1,
            max=100,
        ),
    ] = None,
    seed: Annotated[int, Option("A different seed gives different articles.")] = 0,
) -> None:
    """Write made-up articles to try things out with.

    There are as many as you like. The columns are those of All-the-News 2.0. The texts consist of
    sentences of the bundled articles with other entities in them. They have realistic lengths (half
    have more than 400 words) and are marked as made up. New names keep coming, as they do in real
    news. The same seed gives the same articles.
    """
    if (articles is None) == (size is None):
        found = "neither" if articles is None else "both"
        raise UsageError(f"expected --articles or --bytes, to say how much to write; found {found}")
    from daskingest.sample.write import write_sample

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("learning sentences", total=articles or size)

        def progress(count: int, written: int) -> None:
            text = f"{count:,} articles, {size_text(written)}"
            bar.update(task, completed=count if articles else written, description=text)

        count, written = write_sample(out, articles, size, seed, progress, publications)
    console.print(f"{count:,} articles, {size_text(written)} in {out}", highlight=False)
