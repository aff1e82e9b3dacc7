"""How the program ends."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The codes that each command's help promises; an error carries its own."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    """The command was asked for something impossible."""
    REJECTS = 3
    """Done, but with rejects and --strict."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM: the same command resumes."""
