"""Ctrl-C for a program with child processes: the first stops, the second aborts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


class Interrupts:
    """Waits for SIGINT on a thread of its own, with the signal blocked everywhere else.

    Child processes inherit that. A terminal sends Ctrl-C to all processes in the foreground, and a
    worker that took it would die in the middle of a batch that is to be finished.
    """

    def __init__(self, stop: Callable[[], None], abort: Callable[[], None]) -> None:
        self._stop = stop
        self._abort = abort
        self._ended = False

    def wait(self) -> None:
        """Handle interrupts until `end`."""
        signal.sigwait({signal.SIGINT})
        if self._ended:
            return
        self._stop()
        signal.sigwait({signal.SIGINT})
        if not self._ended:
            self._abort()

    def end(self, thread: threading.Thread) -> None:
        """Let the waiting thread go."""
        self._ended = True
        if thread.is_alive():
            signal.pthread_kill(thread.ident or 0, signal.SIGINT)
            thread.join()


@contextmanager
def interrupts(
    stop: Callable[[], None], abort: Callable[[], None], terminate: Callable[[], None]
) -> Iterator[None]:
    """Call `stop` on the first Ctrl-C and `abort` on the second, both on another thread.

    On SIGTERM `terminate` is called, on the main thread. To be entered there, before there are
    other threads.
    """
    _start_resource_tracker()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    terminated_before = signal.signal(signal.SIGTERM, lambda number, frame: terminate())
    handling = Interrupts(stop, abort)
    thread = threading.Thread(target=handling.wait, name="interrupts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        handling.end(thread)
        signal.signal(signal.SIGTERM, terminated_before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_resource_tracker() -> None:
    """Start it now: when multiprocessing does, it unblocks the signal.

    It removes what a program that is stopped at once leaves behind, and need not speak of it.
    """
    name = "PYTHONWARNINGS"
    before = os.environ.get(name)
    os.environ[name] = "ignore"
    try:
        resource_tracker.ensure_running()
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
