"""SQLite files of ours: created once, recognised, and changed completely or not at all."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from daskingest.sqlite_file import (
    OtherApplication,
    OtherVersion,
    SqliteFile,
    SqliteSchema,
    Upgrading,
)

SCHEMA = SqliteSchema(
    0x74657374, 3, "CREATE TABLE t (x INTEGER);\nCREATE TABLE u (\n    y TEXT\n);\n"
)


def numbers(file: SqliteFile) -> list[int]:
    return [x for (x,) in file.connection.execute("SELECT x FROM t ORDER BY x")]


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_file_is_created_once(tmp_path: Path) -> None:
    path = tmp_path / "a file?.db"
    schema = replace(SCHEMA, script=SCHEMA.script + "INSERT INTO t VALUES (random())")
    with SqliteFile(path, schema) as file:
        [made] = numbers(file)
    with SqliteFile(path, schema) as file, SqliteFile(path, schema, read_only=True) as reader:
        assert numbers(file) == numbers(reader) == [made]
        assert file.connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert pragma(path, "application_id") == SCHEMA.application_id
    assert pragma(path, "user_version") == SCHEMA.version
    assert pragma(path, "journal_mode") == "wal"


def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "f.db").touch()
    with SqliteFile(tmp_path / "f.db", SCHEMA) as file:
        assert numbers(file) == []


def test_a_schema_that_fails_leaves_nothing(tmp_path: Path) -> None:
    broken = replace(SCHEMA, script=SCHEMA.script + "CREATE TABLE t (x)")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        SqliteFile(tmp_path / "f.db", broken)
    with SqliteFile(tmp_path / "f.db", SCHEMA) as file:
        assert numbers(file) == []


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    SqliteFile(path, SCHEMA).close()
    for read_only in (False, True):
        with pytest.raises(OtherVersion) as error:
            SqliteFile(path, replace(SCHEMA, version=4), read_only)
        assert error.value.found == 3
        with pytest.raises(OtherApplication):
            SqliteFile(path, replace(SCHEMA, application_id=1), read_only)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE mine (x)")
    before = other.read_bytes()
    for read_only in (False, True):
        with pytest.raises(OtherApplication):
            SqliteFile(other, SCHEMA, read_only)
    assert other.read_bytes() == before


def test_reading_makes_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        SqliteFile(path, SCHEMA, read_only=True)
    assert not path.exists()
    path.touch()
    with pytest.raises(OtherApplication):
        SqliteFile(path, SCHEMA, read_only=True)
    assert path.read_bytes() == b""
    SqliteFile(path, SCHEMA).close()
    with (
        SqliteFile(path, SCHEMA, read_only=True) as file,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
        file.transaction() as db,
    ):
        db.execute("INSERT INTO t VALUES (1)")


def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    with SqliteFile(tmp_path / "f.db", SCHEMA) as file:
        with file.transaction() as db:
            db.execute("INSERT INTO t VALUES (1)")
        for error in (KeyError, KeyboardInterrupt):
            with pytest.raises(error), file.transaction() as db:
                db.execute("INSERT INTO t VALUES (2)")
                raise error
        with pytest.raises(sqlite3.Error, match="no such table"), file.transaction() as db:
            db.execute("INSERT INTO t VALUES (3)")
            db.execute("INSERT INTO nowhere VALUES (3)")
        with file.transaction() as db:
            db.execute("INSERT INTO t VALUES (4)")
        assert numbers(file) == [1, 4]


def test_a_writer_blocks_writers_and_no_readers(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with SqliteFile(path, SCHEMA) as one, SqliteFile(path, SCHEMA, busy_seconds=0) as two:
        with one.transaction() as db:
            db.execute("INSERT INTO t VALUES (1)")
            assert numbers(two) == []
            with pytest.raises(sqlite3.OperationalError, match="locked"), two.transaction():
                pass
        assert numbers(two) == [1]


def test_it_goes_from_thread_to_thread(tmp_path: Path) -> None:
    with SqliteFile(tmp_path / "f.db", SCHEMA) as file:

        def write() -> None:
            with file.transaction() as db:
                db.execute("INSERT INTO t VALUES (1)")

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        assert numbers(file) == [1]


def test_many_that_start_together_create_one_file(tmp_path: Path) -> None:
    schema = replace(SCHEMA, script=SCHEMA.script + "INSERT INTO t VALUES (1)")
    found: list[list[int]] = []
    start = threading.Barrier(8)

    def look() -> None:
        start.wait()
        with SqliteFile(tmp_path / "f.db", schema) as file:
            found.append(numbers(file))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[1]] * 8


def test_a_copy_in_another_journal_mode_is_taken(tmp_path: Path) -> None:
    path, copy = tmp_path / "f.db", tmp_path / "copy.db"
    with SqliteFile(path, SCHEMA) as file:
        file.connection.execute("VACUUM INTO ?", (str(copy),))
    assert pragma(copy, "journal_mode") == "delete"
    SqliteFile(copy, SCHEMA).close()
    assert pragma(copy, "journal_mode") == "wal"


def test_a_version_before_is_upgraded_where_there_is_a_way(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    with SqliteFile(path, SCHEMA) as file:
        file.connection.execute("INSERT INTO t VALUES (1)")
    steps = {3: "CREATE TABLE v (z)", 4: "UPDATE t SET x = x + 1;\nINSERT INTO t VALUES (9)"}
    later = replace(SCHEMA, version=5, upgrades=steps)
    with pytest.raises(OtherVersion):
        SqliteFile(path, later, read_only=True)
    broken = {3: "CREATE TABLE v (z)", 4: "UPDATE nothing SET x = 1"}
    with pytest.raises(sqlite3.OperationalError):
        SqliteFile(path, replace(later, upgrades=broken))
    assert pragma(path, "user_version") == 3
    for _ in range(2):
        with SqliteFile(path, later) as file:
            assert numbers(file) == [2, 9]
    assert pragma(path, "user_version") == 5
    with pytest.raises(OtherVersion):
        SqliteFile(path, SCHEMA)


class Waiting(Upgrading):
    """Tells whether it waits."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.waiting = threading.Event()

    def begins(self, db: sqlite3.Connection, version: int) -> None:
        self.begun.append(version)

    def waits(self) -> None:
        self.waiting.set()


def test_an_upgrade_waits_for_other_writers(tmp_path: Path) -> None:
    path, upgrading = tmp_path / "f.db", Waiting()
    later = replace(SCHEMA, version=4, upgrades={3: "INSERT INTO t VALUES (2)"}, readable=[3])
    with SqliteFile(path, SCHEMA) as before:
        thread = threading.Thread(
            target=lambda: SqliteFile(path, later, busy_seconds=0.01, upgrading=upgrading).close()
        )
        with before.transaction() as db:
            db.execute("INSERT INTO t VALUES (1)")
            thread.start()
            assert upgrading.waiting.wait(60)
            with SqliteFile(path, later, read_only=True) as reader:
                assert numbers(reader) == []
        thread.join()
    assert upgrading.begun == [3]
    with SqliteFile(path, later) as file:
        assert numbers(file) == [1, 2]


def test_an_upgrade_that_is_refused_leaves_the_file(tmp_path: Path) -> None:
    class Refusing(Upgrading):
        def begins(self, db: sqlite3.Connection, version: int) -> None:
            raise KeyError(version)

    path = tmp_path / "f.db"
    SqliteFile(path, SCHEMA).close()
    later = replace(SCHEMA, version=4, upgrades={3: "INSERT INTO t VALUES (2)"})
    with pytest.raises(KeyError):
        SqliteFile(path, later, upgrading=Refusing())
    with SqliteFile(path, SCHEMA) as file:
        assert numbers(file) == []
