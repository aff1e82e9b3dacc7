"""What people are told while a store of an earlier version is brought to this version's layout."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from daskingest.errors import StoreError
from daskingest.sqlite_file import Upgrading
from daskingest.text import size_text, time_text

_ROOM = 0.45
"""What an upgrade writes beside the file before it is committed, as a share of the file's size."""

_CACHE = 64 << 20  # bytes

_SPEED = 40e6  # bytes of the file a second, more or less


class StoreUpgrading(Upgrading):
    """Says what happens to a store, and refuses to begin where there is no room for it."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._started = 0.0

    def begins(self, db: sqlite3.Connection, version: int) -> None:
        """See `Upgrading.begins`. Raises StoreError."""
        if lacking := lacking_room(self._path):
            raise StoreError(
                f"{self._path} has the layout of an earlier version, and to bring it to this "
                f"version's {lacking}; make room (until then it can be read)"
            )
        db.execute("PRAGMA secure_delete = FAST")  # where it is ON, what is dropped is written too
        db.execute(f"PRAGMA cache_size = {-(_CACHE >> 10)}")  # indexes are sorted in it
        self._started = time.monotonic()
        self._say(
            f"bringing {self._path} to the layout of this version, once: "
            f"about {time_text(1 + self._path.stat().st_size / _SPEED)}"
        )

    def waits(self) -> None:
        """See `Upgrading.waits`."""
        self._say(
            f"waiting for another program that writes to {self._path}, perhaps to bring it to the "
            "layout of this version"
        )

    def ended(self) -> None:
        """See `Upgrading.ended`."""
        seconds = time_text(time.monotonic() - self._started)
        self._say(f"{self._path} has the layout of this version now, after {seconds}")


def lacking_room(path: Path) -> str:
    """How much room the upgrade of a file takes, and how much there is; empty if it is enough."""
    needed = int(_ROOM * path.stat().st_size) + (1 << 20)
    free = shutil.disk_usage(path.absolute().parent).free
    return f"takes {size_text(needed)} beside it, and {size_text(free)} are free" * (free < needed)
