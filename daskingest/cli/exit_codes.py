"""How the program ends."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What each command's help and the README promise; errors carry theirs with them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    """The command was asked for something that it cannot do."""
    REJECTS = 3
    """Done, but with rejects and --strict."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM: the same command goes on where it was."""
