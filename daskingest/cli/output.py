"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text


def print_lines(console: Console, text: str) -> None:
    """Print a text verbatim: no markup, no line wrapping."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def note(text: str) -> None:
    """Print a message that is not a result, on standard error."""
    print_lines(Console(stderr=True), text)


def harmless(text: str) -> Text:
    """Text from articles, made safe for a terminal: no markup, no control characters."""
    return Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))


def command_name() -> str:
    """How to call this program: its name if it is on the PATH, else as it was called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m daskingest"
    return "daskingest" if shutil.which("daskingest") else str(called)
