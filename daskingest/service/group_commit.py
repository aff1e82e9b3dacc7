"""A thread that writes to an SQLite file, with all waiting operations in one transaction.

Many requests share one fsync, and each is answered when its data is on disk.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from daskingest.errors import DaskingestError
from daskingest.sqlite_file import SqliteFile

_MAX_OPERATIONS = 1_000  # operations in one transaction

log = logging.getLogger(__name__)
T = TypeVar("T")


class SpoolError(DaskingestError):
    """The spool could not be written; nothing of the operation is on disk."""


class Declined(Exception):
    """An operation declines. That rolls back neither its own writes nor those of others."""


class InMemoryState(Protocol):
    """The part of the file that is kept in memory. Called on the writing thread."""

    def before_commit(self) -> None:
        """Write what the transaction's operations have collected."""

    def reload(self) -> None:
        """Take all from the file again, in a transaction: the one before was undone."""


_Operation = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class GroupCommit:
    """Runs operations on the file in the order in which they are given, on a thread of its own.

    Until `close`, only that thread may use the file.
    """

    def __init__(self, file: SqliteFile, in_memory: InMemoryState) -> None:
        self._file = file
        self._in_memory = in_memory
        self._stale = False
        self._queue: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="spool", daemon=True)
        self._thread.start()

    async def do(self, work: Callable[[], T]) -> T:
        """What `work` returns, once its writes are on disk.

        Raises the Declined that it raised, and SpoolError if the file could not be written.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((work, future))
        return await future

    def close(self) -> None:
        """Finish the operations given so far, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        """Run operations until told to end."""
        ended = False
        while not ended:
            group: list[_Operation] = []
            operation = self._queue.get()
            while operation is not None:
                group.append(operation)
                if len(group) == _MAX_OPERATIONS:
                    break
                try:
                    operation = self._queue.get_nowait()
                except queue.Empty:
                    break
            ended = operation is None
            if group:
                self._commit(group)

    def _commit(self, group: Sequence[_Operation]) -> None:
        outcomes: list[Any] = []
        try:
            if self._stale:
                self._reload()
            with self._file.transaction():
                for work, _ in group:
                    try:
                        outcomes.append(work())
                    except Declined as declined:
                        outcomes.append(declined)
                self._in_memory.before_commit()
        except Exception as error:
            log.exception("the spool cannot be written")
            self._stale = True
            with suppress(sqlite3.Error):
                self._reload()
            text = f"the spool cannot be written: {error}"
            outcomes = [SpoolError(text) for _ in group]
        futures = [future for _, future in group]
        with suppress(RuntimeError):  # the loop is closed: nobody is waiting
            futures[0].get_loop().call_soon_threadsafe(_resolve, futures, outcomes)

    def _reload(self) -> None:
        with self._file.transaction():
            self._in_memory.reload()
        self._stale = False


def _resolve(futures: Sequence[asyncio.Future[Any]], outcomes: Sequence[Any]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if not future.done():  # the waiting request may have been cancelled
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
