"""How long a service has been in use, over all its runs, whatever the clock on the wall does."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable


class TimeInUse:
    """Seconds, kept in the spool's file. What passed since the last `keep` is lost in a crash."""

    def __init__(self, db: sqlite3.Connection, clock: Callable[[], float] = time.monotonic) -> None:
        [(before,)] = db.execute("SELECT used FROM spool").fetchall()
        self._db = db
        self._clock = clock
        self._began = clock() - float(before)

    @property
    def now(self) -> float:
        """Seconds in use so far."""
        return self._clock() - self._began

    def keep(self) -> None:
        """Write it down. To be used inside of a transaction."""
        self._db.execute("UPDATE spool SET used = ?", (self.now,))
