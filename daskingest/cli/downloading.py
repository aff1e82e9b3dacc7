"""`download`: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from daskingest.cli.counting import INTERRUPTED, command_name
from daskingest.progress import Display
from daskingest.text import size_text, time_text


def fetch(url: str, folder: Path, keep_zip: bool) -> int:
    """Fetch the file and say what to do with it. Returns the exit code; raises DaskingestError."""
    messages = Console(stderr=True)
    try:
        from daskingest.download.job import download

        with _Display(messages) as display:
            path, made = download(url, folder, display.watcher, keep_zip)
    except KeyboardInterrupt:
        messages.print("interrupted; the same command goes on where it was")
        return INTERRUPTED
    size = size_text(path.stat().st_size)
    state = f"{size} in {path}" if made else f"{path} is there already, {size}"
    text = f"{state}; count it with\n  {command_name()} run-csv {shlex.quote(str(path))}"
    Console().print(text, highlight=False, markup=False, soft_wrap=True)
    return 0


class _Display(Display):
    """Shows how far it is: bytes, rate, time left."""

    def __init__(self, console: Console) -> None:
        from daskingest.download.transfer import Watcher

        super().__init__(console, enabled=True)
        self._what, self._first = "", 0
        self._total: int | None = None
        self.watcher = Watcher(say=self.say, begin=self._begin, update=self._update)

    def _begin(self, what: str, done: int, total: int | None) -> None:
        self._what, self._first, self._total = what, done, total
        self.start(total, status_text(what, done, total, (0, 0)), "")

    def _update(self, done: int) -> None:
        self.show(
            done,
            lambda seconds: status_text(
                self._what, done, self._total, (done - self._first, seconds)
            ),
        )


def status_text(what: str, done: int, total: int | None, fresh: tuple[int, float]) -> str:
    """How far it is; `fresh` is how many bytes came in how many seconds."""
    parts = [f"{what}: {size_text(done)}"]
    if total is not None:
        parts[0] += f" of {size_text(total)}"
    size, seconds = fresh
    if size and seconds:
        parts.append(f"{size_text(size / seconds)}/s")
        if total is not None:
            parts.append(f"{time_text((total - done) * seconds / size)} left")
    return ", ".join(parts)
