"""Counts what work takes, in figures that no clock has a part in."""

from __future__ import annotations

import gc
import sqlite3
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

_EVERY = 10  # steps of SQLite's machine: counting each takes longer than they do


class Sqlite:
    """What SQLite has done in all connections since `forget`; `steps` are of its machine."""

    def __init__(self) -> None:
        self._connections: list[sqlite3.Connection] = []
        self.forget()

    def forget(self) -> None:
        """Count from here on."""
        self.steps = 0
        self.statements: list[str] = []
        self._before = self._changes()

    @property
    def changes(self) -> int:
        """Rows that were added, changed or deleted, by connections that are open."""
        return self._changes() - self._before

    def opened(self, db: sqlite3.Connection) -> sqlite3.Connection:
        """Count what is done in a connection."""
        self._connections.append(db)
        db.set_progress_handler(self._step, _EVERY)
        db.set_trace_callback(self._state)
        return db

    def _changes(self) -> int:
        changes = 0
        for each in self._connections:
            with suppress(sqlite3.ProgrammingError):  # it is closed
                changes += each.total_changes
        return changes

    def _state(self, statement: str) -> None:
        self.statements.append(statement)

    def _step(self) -> None:
        self.steps += _EVERY


def steps(work: Callable[[], object]) -> int:
    """How many lines of Python are run, and turns of loops."""
    lines = 0

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        nonlocal lines
        lines += what == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, those in C too."""
    found = 0

    def profile(frame: FrameType, what: str, _: Any) -> None:
        nonlocal found
        found += what in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return found


def peak(work: Callable[[], object]) -> int:
    """The most bytes that Python and numpy have for it at a time."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def objects_left(work: Callable[[], object], times: int = 4) -> int:
    """How many more objects there are each time, once what is made at first is there."""
    for _ in range(2):
        work()
    return min(_left(work, times) for _ in range(2))  # other threads leave some at times


def _left(work: Callable[[], object], times: int) -> int:
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(times):
        work()
    gc.collect()
    return (sys.getallocatedblocks() - before) // times
