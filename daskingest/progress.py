"""Live progress: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from daskingest.text import size_text, time_text

if TYPE_CHECKING:
    from daskingest.pipeline.run import Summary

_LINE_SECONDS = 5.0


def status_text(summary: Summary, seconds: float) -> str:
    """How far a file is: bytes, articles, rate, time left (from bytes), rejects."""
    parts = [size_text(summary.bytes_done)]
    if summary.size:
        parts[0] += f" of {size_text(summary.size)}"
    parts.append(f"{summary.tally.articles:,} articles")
    if seconds > 0 and summary.fresh_bytes:
        parts.append(f"{summary.fresh.words / seconds:,.0f} words/s")
        if summary.size:
            left = (summary.size - summary.bytes_done) * seconds / summary.fresh_bytes
            parts.append(f"{time_text(left)} left")
    parts.append(f"{summary.tally.rejected.total():,} rejects")
    return ", ".join(parts)


class _Status(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["status"])


class Display:
    """A bar with a status, or lines, on a console: standard error, so that results can be piped."""

    def __init__(
        self, console: Console, enabled: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._enabled = enabled
        self._clock = clock
        self._started = self._last_line = clock()
        self._trouble = ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _Status(),
            console=console,
            transient=True,
            refresh_per_second=4,
            disable=not enabled or not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, visible=False, status="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away and give the terminal back as it was."""
        self._bar.stop()

    def say(self, message: str) -> None:
        """Print a line, above the bar."""
        if self._enabled:
            self._console.print(message, highlight=False, markup=False, soft_wrap=True)

    def start(self, total: float | None, message: str, status: str) -> None:
        """Begin a bar of this length, from 0."""
        self._started = self._last_line = self._clock()
        self.say(message)
        self._bar.update(self._task, total=total, completed=0, visible=True, status=status)

    def show(self, completed: float, status: Callable[[float], str], trouble: str = "") -> None:
        """How far it is; `status` is given the seconds since the start. A new trouble is said."""
        now = self._clock()
        if trouble and trouble != self._trouble:
            self.say(f"waiting: {trouble}")
        self._trouble = trouble
        text = status(now - self._started)
        if not self._bar.disable:
            self._bar.update(self._task, completed=completed, status=text)
        elif now - self._last_line >= _LINE_SECONDS:
            self._last_line = now
            self.say(text)


class ProgressDisplay(Display):
    """Shows a run that counts files."""

    def __init__(
        self, console: Console, enabled: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        from daskingest.pipeline.run import Watcher  # brings Dask with it

        super().__init__(console, enabled, clock)
        self.watcher = Watcher(say=self.say, begin=self._begin, update=self._update)

    def _begin(self, summary: Summary) -> None:
        size = f", {size_text(summary.size)}" if summary.size else ""
        self.start(summary.size, f"counting {summary.file}{size}", "waiting for counts")

    def _update(self, summary: Summary, trouble: str) -> None:
        self.show(summary.bytes_done, lambda seconds: status_text(summary, seconds), trouble)
