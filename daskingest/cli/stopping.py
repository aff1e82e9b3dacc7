"""Waiting for the signal that ends a command which runs until then."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import TracebackType

from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.interrupts import Interrupts, signals


class Stopping:
    """A context in which Ctrl-C and SIGTERM stop a command; the second one ends it at once.

    Enter it on the main thread, before other threads are started.
    """

    def __init__(self) -> None:
        self.exit_code = ExitCode.DONE
        self._interrupts = Interrupts()
        self._stack = ExitStack()

    def __enter__(self) -> Stopping:
        self._stack.enter_context(signals(self._interrupt, self._interrupts.request))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    async def wait(self) -> None:
        """Return when the command is to stop."""
        stopped = asyncio.Event()
        self._interrupts.attach(stopped.set)
        await stopped.wait()

    def _interrupt(self) -> None:
        if not self._interrupts.asked:
            self.exit_code = ExitCode.INTERRUPTED
        self._interrupts.request()
