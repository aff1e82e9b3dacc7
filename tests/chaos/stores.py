"""The stores that a schedule may count into: how to be without one, and how to read it."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

import psutil
from program import content

from chaos.articles import Counts
from chaos.faults import Impossible
from daskingest.stores import Store, open_store


class StoreUnderTest(Protocol):
    """A store, empty at first, that can go away for a while."""

    url: str
    environment: dict[str, str]
    """What programs need to find it."""

    def counts(self) -> Counts:
        """What is in it; nothing as long as nothing was written."""

    def articles(self) -> int:
        """How many articles are counted in it by now."""

    def is_open_in(self, process: psutil.Process) -> bool:
        """Whether a process has it open."""

    def opened(self) -> AbstractContextManager[Store]:
        """The project's own view of it."""

    def go_away(self) -> None:
        """Nobody can reach it. Raises Impossible."""

    def come_back(self) -> None:
        """It can be reached again."""

    def lose_answers(self, seed: int) -> None:
        """From now on commits fail, or seem to, at random. Raises Impossible."""

    def hold_commit(self) -> threading.Event:
        """The next commit arrives when `commit_faithfully` is called; the event: it is on its way.

        Raises Impossible.
        """

    def commit_faithfully(self) -> None:
        """They don't any more."""

    def close(self) -> None:
        """It is not needed any more."""


class SqliteFile:
    """A file in a folder of its own. It is never away; its folder's disk may fail."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{self.path}"
        self.environment: dict[str, str] = {}

    def counts(self) -> Counts:
        """See `StoreUnderTest`."""
        return content(self.path) if self.path.exists() else ({}, Counter())

    def articles(self) -> int:
        """See `StoreUnderTest`. Read-only: it must not be who writes the log back at the end."""
        try:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as db:
                [(found,)] = db.execute("SELECT sum(count) FROM publications").fetchall()
                return int(found or 0)
        except sqlite3.Error:
            return 0

    def is_open_in(self, process: psutil.Process) -> bool:
        """See `StoreUnderTest`."""
        try:
            return any(each.path == str(self.path) for each in process.open_files())
        except psutil.Error:
            return False

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """See `StoreUnderTest`."""
        with open_store(self.url) as store:
            yield store

    def go_away(self) -> None:
        """See `StoreUnderTest`."""
        raise Impossible("a file is never away")

    def come_back(self) -> None:
        """See `StoreUnderTest`."""

    def close(self) -> None:
        """See `StoreUnderTest`."""

    def lose_answers(self, seed: int) -> None:
        """See `StoreUnderTest`."""
        raise Impossible("its commits don't go over a network")

    def hold_commit(self) -> threading.Event:
        """See `StoreUnderTest`."""
        raise Impossible("its commits don't go over a network")

    def commit_faithfully(self) -> None:
        """See `StoreUnderTest`."""
