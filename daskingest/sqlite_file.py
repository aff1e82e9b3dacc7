"""SQLite files of ours: recognised by their header, created once, and durable at each commit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class SqliteSchema:
    """A kind of file: two numbers in its header, and its tables.

    `script` makes the tables, and may fill them. Its statements are separated by a semicolon at the
    end of a line, and are run in one transaction. `upgrades` has, by version, such a script that
    makes the next version of it. Files of the versions `readable` can be read as they are. A new
    file has pages of `page_size` bytes.
    """

    application_id: int
    version: int
    script: str
    upgrades: Mapping[int, str] = field(default_factory=dict)
    readable: Collection[int] = ()
    page_size: int = 4096


class SchemaError(Exception):
    """A file has a different schema than expected; nothing in it was changed."""


class OtherApplication(SchemaError):
    """The file is not of this kind."""


class OtherVersion(SchemaError):
    """The file is of this kind, but has another version, `found`."""

    def __init__(self, found: int) -> None:
        super().__init__(f"version {found}")
        self.found = found


class WalUnreadable(SchemaError):
    """The file is where nothing can be written, and its latest changes are in a log beside it."""


class Upgrading:
    """Is told of an upgrade. This one ignores it."""

    def begins(self, db: sqlite3.Connection, version: int) -> None:
        """A file of this version is upgraded now. What this raises leaves it as it is."""

    def waits(self) -> None:
        """Another program has been writing to the file for long: it may be upgrading it."""

    def ended(self) -> None:
        """The file is upgraded."""


class SqliteFile:
    """A file with this schema, open until `close`; made if there is none, unless `read_only`, and
    brought to this version from those that have an upgrade: in one transaction, by one process,
    while others that would write to it wait and those that read it see what was there before.

    Readers and one writer do not block each other; a second writer waits up to `busy_seconds`. What
    was committed survives a power cut. To be used by one thread at a time.

    Raises sqlite3.Error if the file cannot be opened, and SchemaError if it has another schema.
    """

    def __init__(
        self,
        path: Path,
        schema: SqliteSchema,
        read_only: bool = False,
        busy_seconds: float = 30.0,
        upgrading: Upgrading | None = None,
    ) -> None:
        open_it = _open_to_read if read_only else _open_to_write
        self.connection = open_it(path, busy_seconds)
        try:
            if not read_only and self._is_empty():
                self._create_tables(schema)
            self._check(schema, read_only)
            if not read_only:
                self._use_wal(busy_seconds)
                self.connection.execute("PRAGMA synchronous = FULL")
                self._upgrade(schema, upgrading or Upgrading())
        except BaseException:
            self.connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything done inside is committed at the end, or undone after an error."""
        db = self.connection
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # the first error says more
                if db.in_transaction:
                    db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file. May be called again."""
        self.connection.close()

    def _is_empty(self) -> bool:
        [(tables,)] = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        return not tables

    def _use_wal(self, busy_seconds: float) -> None:
        """Change the journal's mode, which does not wait for others as other statements do."""
        deadline = time.monotonic() + busy_seconds
        while True:
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    def _create_tables(self, schema: SqliteSchema) -> None:
        self.connection.execute(f"PRAGMA page_size = {schema.page_size}")
        with self.transaction() as db:
            if not self._is_empty():
                return  # another process was quicker
            _run(db, schema.script)
            db.execute(f"PRAGMA application_id = {schema.application_id}")
            db.execute(f"PRAGMA user_version = {schema.version}")

    def _upgrade(self, schema: SqliteSchema, upgrading: Upgrading) -> None:
        while self._has_upgrade(schema):
            try:
                self._upgrade_now(schema, upgrading)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                upgrading.waits()

    def _upgrade_now(self, schema: SqliteSchema, upgrading: Upgrading) -> None:
        with self.transaction() as db:
            _, version = self._identity()
            if version not in schema.upgrades:
                return  # another process was quicker
            upgrading.begins(db, version)
            while version in schema.upgrades:
                _run(db, schema.upgrades[version])
                version += 1
                db.execute(f"PRAGMA user_version = {version}")
        upgrading.ended()

    def _has_upgrade(self, schema: SqliteSchema) -> bool:
        application, version = self._identity()
        return application == schema.application_id and version in schema.upgrades

    def _identity(self) -> tuple[int, int]:
        [(application,)] = self.connection.execute("PRAGMA application_id").fetchall()
        [(version,)] = self.connection.execute("PRAGMA user_version").fetchall()
        return application, version

    def _check(self, schema: SqliteSchema, read_only: bool) -> None:
        application, version = self._identity()
        if application != schema.application_id:
            raise OtherApplication
        others = schema.readable if read_only else schema.upgrades
        if version != schema.version and version not in others:
            raise OtherVersion(version)


def _open(path: Path, options: str, busy_seconds: float) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(
        uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False
    )


def _open_to_write(path: Path, busy_seconds: float) -> sqlite3.Connection:
    return _open(path, "mode=rwc", busy_seconds)


def _open_to_read(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Also where nothing can be written, if there is no log: SQLite would make one to read it.

    Such a file is read as it was when it was opened, and must not be written to meanwhile.
    """
    db = _open(path, "mode=ro", busy_seconds)
    try:
        db.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise WalUnreadable from None
        return _open(path, "mode=ro&immutable=1", busy_seconds)
    except BaseException:
        db.close()
        raise
    return db


def _run(db: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";\n"):
        db.execute(statement)
