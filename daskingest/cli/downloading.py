"""`download`: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from daskingest.cli.counting import INTERRUPTED, command_name

_LINE_SECONDS = 5.0
_BAR_SECONDS = 0.25


def fetch(url: str, folder: Path, keep_zip: bool) -> int:
    """Fetch the file and say what to do with it. Returns the exit code; raises DaskingestError."""
    messages = Console(stderr=True)
    try:
        from daskingest.download import download
        from daskingest.progress import size_text

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


class _Display:
    """Shows how far it is: bytes, rate, time left."""

    def __init__(self, console: Console) -> None:
        from daskingest.transfer import Watcher

        self._console = console
        self._every = _BAR_SECONDS if console.is_terminal else _LINE_SECONDS
        self._what = ""
        self._total: int | None = None
        self._first = 0
        self._started = self._shown = time.monotonic()
        self._bar = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, visible=False)
        self.watcher = Watcher(say=self._say, begin=self._begin, update=self._update)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def _say(self, message: str) -> None:
        self._console.print(message, highlight=False, markup=False, soft_wrap=True)

    def _begin(self, what: str, done: int, total: int | None) -> None:
        self._what, self._first, self._total = what, done, total
        self._started = self._shown = time.monotonic()
        self._show(done, 0)

    def _update(self, done: int) -> None:
        now = time.monotonic()
        if now - self._shown >= self._every:
            self._shown = now
            self._show(done, now - self._started)

    def _show(self, done: int, seconds: float) -> None:
        text = status_text(self._what, done, self._total, (done - self._first, seconds))
        if self._bar.disable:
            self._say(text)
        else:
            self._bar.update(
                self._task, completed=done, total=self._total, description=text, visible=True
            )


def status_text(what: str, done: int, total: int | None, fresh: tuple[int, float]) -> str:
    """How far it is; `fresh` is how many bytes came in how many seconds."""
    from daskingest.progress import size_text, time_text

    parts = [f"{what}: {size_text(done)}"]
    if total is not None:
        parts[0] += f" of {size_text(total)}"
    size, seconds = fresh
    if size and seconds:
        parts.append(f"{size_text(size / seconds)}/s")
        if total is not None:
            parts.append(f"{time_text((total - done) * seconds / size)} left")
    return ", ".join(parts)
