"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from daskingest.cli.streams import in_utf8
from daskingest.text import printable

_ANY_WIDTH = 1 << 16  # columns


def print_lines(console: Console, text: str) -> None:
    """Print a text verbatim: no markup, no line wrapping."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a result as JSON, which is valid in any encoding."""
    print(json.dumps(value, ensure_ascii=not in_utf8(), indent=2), flush=True)


def print_table(table: Table) -> None:
    """Print a table whole: folded on a narrow terminal, and as wide as it is elsewhere."""
    for each in table.columns:
        each.overflow = "fold"
        each.no_wrap = each.no_wrap or each.justify == "right"  # numbers
    console = Console()
    unbound = console.options.update(max_width=_ANY_WIDTH)
    least = Measurement.get(console, unbound, table).minimum
    if not console.is_terminal:
        console = Console(width=_ANY_WIDTH)
    elif console.width < least:
        console = Console(width=least)
    console.print(table)


def note(text: str) -> None:
    """Print a message that is not a result, on standard error."""
    print_lines(Console(stderr=True), text)


def harmless(text: str) -> Text:
    """Text from articles, made safe for a terminal: no markup, no control characters."""
    return Text(printable(text))


def command_name() -> str:
    """How to call this program: its name if it is on the PATH, else as it was called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m daskingest"
    return "daskingest" if shutil.which("daskingest") else str(called)
