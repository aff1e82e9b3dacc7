"""The thread that writes the spool: groups of operations, on disk before anybody is answered."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from daskingest.service.group_commit import Declined, GroupCommit, SpoolError
from daskingest.sqlite_file import SqliteFile, SqliteSchema

SCHEMA = SqliteSchema(1, 1, "CREATE TABLE t (x INTEGER PRIMARY KEY)")
T = TypeVar("T")


class Numbers:
    """Numbers in a file, and in memory; those that come are written before the commit."""

    def __init__(self, file: SqliteFile) -> None:
        self.db = file.connection
        self.coming: list[int] = []
        self.known: set[int] = set()
        self.statements: list[str] = []
        self.db.set_trace_callback(self.statements.append)
        self.broken = 0  # how often `reload` is to fail

    def add(self, *numbers: int) -> int:
        self.coming += numbers
        self.known.update(numbers)
        return len(self.known)

    def before_commit(self) -> None:
        self.db.executemany("INSERT INTO t VALUES (?)", [(each,) for each in self.coming])
        self.coming = []

    def reload(self) -> None:
        if self.broken:
            self.broken -= 1
            raise sqlite3.OperationalError("disk I/O error")
        self.coming = []
        self.known = {x for (x,) in self.db.execute("SELECT x FROM t")}

    @property
    def commits(self) -> int:
        return self.statements.count("COMMIT")


def with_numbers(folder: Path, work: Callable[[GroupCommit, Numbers], Awaitable[T]]) -> T:
    async def go() -> T:
        with SqliteFile(folder / "f.db", SCHEMA) as file:
            numbers = Numbers(file)
            writer = GroupCommit(file, numbers)
            try:
                return await work(writer, numbers)
            finally:
                writer.close()

    return asyncio.run(go())


async def together(writer: GroupCommit, *works: Callable[[], object]) -> list[object]:
    """The outcomes of operations that are all waiting when the thread comes to them."""
    begun, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:
        loop.call_soon_threadsafe(begun.set)
        go.wait()

    held = asyncio.ensure_future(writer.do(hold))
    await begun.wait()
    waiting = [asyncio.ensure_future(writer.do(each)) for each in works]
    await asyncio.sleep(0)  # each has put its operation into the queue
    go.set()
    await held
    return list(await asyncio.gather(*waiting, return_exceptions=True))


def test_what_waits_shares_a_commit(tmp_path: Path) -> None:
    async def work(writer: GroupCommit, numbers: Numbers) -> None:
        adds = [lambda i=i: numbers.add(i) for i in range(50)]
        assert await together(writer, *adds) == list(range(1, 51))
        assert numbers.commits == 2  # one is that of the operation that held the thread up
        assert await writer.do(lambda: numbers.add(50)) == 51
        assert numbers.commits == 3

    with_numbers(tmp_path, work)


def test_a_no_undoes_nothing(tmp_path: Path) -> None:
    def decline() -> None:
        raise Declined("no")

    async def work(writer: GroupCommit, numbers: Numbers) -> None:
        one, two, three = await together(
            writer, lambda: numbers.add(1), decline, lambda: numbers.add(2)
        )
        assert (one, str(two), three) == (1, "no", 2)
        assert isinstance(two, Declined)
        numbers.reload()
        assert numbers.known == {1, 2}

    with_numbers(tmp_path, work)


@pytest.mark.parametrize("broken", [0, 1])
def test_an_error_undoes_the_group_and_no_more(tmp_path: Path, broken: int) -> None:
    async def work(writer: GroupCommit, numbers: Numbers) -> None:
        await writer.do(lambda: numbers.add(1))
        numbers.broken = broken
        outcomes = await together(writer, lambda: numbers.add(2), lambda: numbers.add(1))
        assert [type(each) for each in outcomes] == [SpoolError, SpoolError]
        assert "UNIQUE" in str(outcomes[0])
        assert await writer.do(lambda: numbers.add(3)) == 2
        assert numbers.known == {1, 3}

    with_numbers(tmp_path, work)


def test_closing_does_what_was_given(tmp_path: Path) -> None:
    with SqliteFile(tmp_path / "f.db", SCHEMA) as file:
        numbers = Numbers(file)
        writer = GroupCommit(file, numbers)

        async def leave() -> None:
            waiting = asyncio.ensure_future(writer.do(lambda: numbers.add(1)))
            await asyncio.sleep(0)
            waiting.cancel()

        asyncio.run(leave())
        writer.close()
        numbers.reload()
        assert numbers.known == {1}
