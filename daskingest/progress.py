"""How work goes on: what those who do it tell, and a display of it for people."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

_LINE_SECONDS = 5.0


class Progress:
    """Is told how work goes on, and keeps silent about it. Whoever wants to know overrides this."""

    def say(self, message: str) -> None:
        """Something happened that is worth a line."""

    def start(self, total: float | None, message: str, status: str) -> None:
        """A piece of work begins, of so many units; None: nobody knows how many.

        `message` says what it is, `status` how far it is before anything is done.
        """

    def show(self, completed: float, status: Callable[[float], str], trouble: str = "") -> None:
        """So many of the units are done.

        `status` makes the text for people from the seconds since the start; `trouble` is what
        keeps the work from going on, if anything does.
        """


class _Status(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["status"])


class Display(Progress):
    """A bar with a status on a terminal, elsewhere a plain line every few seconds.

    Give it standard error, so that results can be piped. One that is not `enabled` shows nothing.
    """

    def __init__(
        self, console: Console, enabled: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._enabled = enabled
        self._clock = clock
        self._started = self._last_line = clock()
        self._trouble = ""
        self._bar = Bar(
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
        """Move the bar, or print a line if the last is old. A new trouble is said."""
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
