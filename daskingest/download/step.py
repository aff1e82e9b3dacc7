"""A step of a download and its status."""

from __future__ import annotations

from daskingest.progress import Progress
from daskingest.text import size_text, time_text


class Step:
    """Downloading or unpacking of bytes, of which `done` are there at the start.

    `total` is how many there will be; None: the server doesn't say.
    """

    def __init__(self, progress: Progress, what: str, done: int, total: int | None) -> None:
        self._progress = progress
        self._what = what
        self._first = done
        self._total = total
        progress.start(total, status_text(what, done, total, (0, 0)), "")

    def show(self, done: int) -> None:
        """Show that `done` bytes are there now."""
        fresh = done - self._first
        self._progress.show(
            done, lambda seconds: status_text(self._what, done, self._total, (fresh, seconds))
        )


def status_text(what: str, done: int, total: int | None, fresh: tuple[int, float]) -> str:
    """The status; `fresh` is how many bytes were added in how many seconds."""
    parts = [f"{what}: {size_text(done)}"]
    if total is not None:
        parts[0] += f" of {size_text(total)}"
    size, seconds = fresh
    if size and seconds:
        parts.append(f"{size_text(size / seconds)}/s")
        if total is not None:
            parts.append(f"{time_text((total - done) * seconds / size)} left")
    return ", ".join(parts)
