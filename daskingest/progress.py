"""Progress: what long-running work reports, and a display of it for people."""

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
    """Receives reports of progress. This one ignores them; subclasses show them."""

    def say(self, message: str) -> None:
        """Something happened that is worth a line of output."""

    def warn(self, message: str) -> None:
        """Something happened that the user must know, whoever watches the progress."""

    def start(self, total: float | None, message: str, status: str) -> None:
        """Work begins, of `total` units, or None if their number is unknown.

        `message` says what it is; `status` is the status before anything is done.
        """

    def show(self, completed: float, status: Callable[[float], str], trouble: str = "") -> None:
        """`completed` of the units are done.

        `status` makes the status from the seconds since the start; `trouble` says what is holding
        up the work, if anything is.
        """


class Quiet(Progress):
    """Passes on to another only what the user must know."""

    def __init__(self, to: Progress) -> None:
        self._to = to

    def warn(self, message: str) -> None:
        """See `Progress.warn`."""
        self._to.warn(message)


class _Status(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["status"])


class Display(Progress):
    """A progress bar with a status on a terminal, elsewhere a plain line every few seconds.

    Give it standard error, so that results can be piped. If it is not `enabled` it shows warnings
    alone, and what holds up the work.
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
        """Remove the bar and restore the terminal."""
        self._bar.stop()

    def say(self, message: str) -> None:
        """Print a line, above the bar."""
        if self._enabled:
            self.warn(message)

    def warn(self, message: str) -> None:
        """Print a line, above the bar, in any case."""
        self._console.print(message, highlight=False, markup=False, soft_wrap=True)

    def start(self, total: float | None, message: str, status: str) -> None:
        """Show a bar of this length, at 0."""
        self._started = self._last_line = self._clock()
        self.say(message)
        self._bar.update(self._task, total=total, completed=0, visible=True, status=status)

    def show(self, completed: float, status: Callable[[float], str], trouble: str = "") -> None:
        """Move the bar, or print a line if the last one is old. A new trouble is printed too."""
        now = self._clock()
        if trouble and trouble != self._trouble:
            self.warn(f"waiting: {trouble}")
        self._trouble = trouble
        text = status(now - self._started)
        if not self._bar.disable:
            self._bar.update(self._task, completed=completed, status=text)
        elif now - self._last_line >= _LINE_SECONDS:
            self._last_line = now
            self.say(text)
