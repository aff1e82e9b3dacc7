"""The seconds that a service was in use."""

from __future__ import annotations

from pathlib import Path

from daskingest.service.spool_file import SCHEMA
from daskingest.service.time_in_use import TimeInUse
from daskingest.sqlite_file import SqliteFile


def test_it_adds_up_over_runs(tmp_path: Path) -> None:
    with SqliteFile(tmp_path / "spool.db", SCHEMA) as file:
        clock = 100.0
        first = TimeInUse(file.connection, lambda: clock)
        assert first.now == 0.0
        clock = 130.0
        first.keep()
        clock = 140.0
        assert first.now == 40.0
        clock = 3.0  # the machine was started anew; ten seconds were not kept
        second = TimeInUse(file.connection, lambda: clock)
        assert second.now == 30.0
        clock = 4.0
        assert second.now == 31.0
