"""`sample`: made-up articles, with a progress bar."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from daskingest.errors import UsageError
from daskingest.sample import write_sample
from daskingest.text import size_text


def write(out: Path, articles: int | None, size: int | None, seed: int) -> None:
    """Write the file and say what it has. Raises UsageError."""
    if (articles is None) == (size is None):
        found = "neither" if articles is None else "both"
        raise UsageError(
            f"expected --articles or --bytes, which say how much to write: found {found}"
        )
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

        count, written = write_sample(out, articles, size, seed, progress)
    console.print(f"{count:,} articles, {size_text(written)} in {out}", highlight=False)
