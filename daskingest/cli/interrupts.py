"""Ctrl-C and SIGTERM: the first one stops a command, the second one aborts it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from daskingest.cli.exit_codes import ExitCode
from daskingest.pipeline.template import start_resource_tracker

_LOOK_SECONDS = 0.1


def _nothing() -> None:
    pass


class Interrupts:
    """Whether a command was asked to stop, and what happens then.

    `stopping` is called at the first request, `aborting` before the process is ended at once, each
    on the thread that makes the request. They tell the user, and `aborting` may fail. `exit` ends
    the process.
    """

    def __init__(
        self,
        stopping: Callable[[], None] = _nothing,
        aborting: Callable[[], None] = _nothing,
        exit: Callable[[int], object] = os._exit,
    ) -> None:
        self._stopping = stopping
        self._aborting = aborting
        self._exit = exit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], None] = _nothing
        self._stopped = False
        self.asked = False
        """Whether the command was asked to stop."""

    def attach(self, stop: Callable[[], None]) -> None:
        """Have `stop` called, once and in the running event loop, when a stop is requested.

        If one was requested already, it is called now.
        """
        self._loop, self._stop = asyncio.get_running_loop(), stop
        if self.asked:
            self._stop_once()

    def request(self) -> None:
        """Stop at the first request, abort at the second."""
        if self.asked:
            self.abort()
            return
        self.asked = True
        with contextlib.suppress(Exception, SystemExit):  # what Rich makes of a closed pipe
            self._stopping()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is left to stop
                self._loop.call_soon_threadsafe(self._stop_once)

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """For what may never come: if it lasts so many seconds after a request, that aborts."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_LOOK_SECONDS):
                if self.asked:
                    if not over.wait(seconds):
                        self.abort()
                    return

        threading.Thread(target=watch, name="waiting", daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def abort(self) -> None:
        """End at once. Child processes notice that this process is gone, and end too."""
        with contextlib.suppress(Exception, SystemExit):
            self._aborting()
        self._exit(ExitCode.INTERRUPTED)

    def _stop_once(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._stop()


@contextmanager
def signals(interrupt: Callable[[], None], terminate: Callable[[], None]) -> Iterator[None]:
    """Call `interrupt` on each Ctrl-C, on another thread, and `terminate` on SIGTERM, on this one.

    Enter it on the main thread, before other threads are started.
    """
    start_resource_tracker()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    terminated_before = signal.signal(signal.SIGTERM, lambda number, frame: terminate())
    thread = _InterruptThread(interrupt)
    thread.start()
    try:
        yield
    finally:
        thread.end()
        signal.signal(signal.SIGTERM, terminated_before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _InterruptThread(threading.Thread):
    """Waits for SIGINT, with the signal blocked everywhere else.

    Child processes inherit the mask. A terminal sends Ctrl-C to all foreground processes, and a
    worker that received it would die in the middle of a batch that should be finished.
    """

    def __init__(self, interrupt: Callable[[], None]) -> None:
        super().__init__(name="interrupts", daemon=True)
        self._interrupt = interrupt
        self._ended = False

    def run(self) -> None:
        """Handle interrupts until `end`."""
        while True:
            signal.sigwait({signal.SIGINT})
            if self._ended:
                return
            self._interrupt()

    def end(self) -> None:
        """Stop the thread."""
        self._ended = True
        if self.is_alive():
            signal.pthread_kill(self.ident or 0, signal.SIGINT)
            self.join()
