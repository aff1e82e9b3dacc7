"""`download`: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from daskingest.cli.counting import INTERRUPTED, command_name
from daskingest.progress import Display
from daskingest.text import size_text


def fetch(url: str, folder: Path, keep_zip: bool) -> int:
    """Fetch the file and say what to do with it. Returns the exit code; raises DaskingestError."""
    messages = Console(stderr=True)
    try:
        from daskingest.download.job import download

        with Display(messages, enabled=True) as display:
            path, made = download(url, folder, display, keep_zip)
    except KeyboardInterrupt:
        messages.print("interrupted; the same command goes on where it was")
        return INTERRUPTED
    size = size_text(path.stat().st_size)
    state = f"{size} in {path}" if made else f"{path} is there already, {size}"
    text = f"{state}; count it with\n  {command_name()} run-csv {shlex.quote(str(path))}"
    Console().print(text, highlight=False, markup=False, soft_wrap=True)
    return 0
