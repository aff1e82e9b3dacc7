"""Connections to a PostgreSQL server, the schema that a store has there, and its transactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from psycopg import IsolationLevel, conninfo
from psycopg.rows import TupleRow

from daskingest.errors import StoreError, UsageError
from daskingest.stores import NoStore
from daskingest.stores.postgresql_layout import OLDEST_SERVER, SCHEMA, SCRIPT, VERSION
from daskingest.stores.urls import shown_url

Connection = psycopg.Connection[TupleRow]

_DEFAULTS: Mapping[str, object] = {
    "connect_timeout": 10,
    "fallback_application_name": "daskingest",
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""How a connection notices within a minute that the other side is gone."""

_OF_A_TRANSACTION = {
    "lock_timeout": "60s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
"""A writer whose machine is gone lets go of its locks; what a large commit takes is not limited."""

_SETTINGS = (
    "SELECT set_config('synchronous_commit', 'on', true) "
    "WHERE current_setting('synchronous_commit') = 'off'; SELECT "
    + ", ".join(f"set_config('{name}', '{its}', true)" for name, its in _OF_A_TRANSACTION.items())
)
"""What is committed is on disk, whatever is usual there."""

_CREATING = 0x6461736B  # an advisory lock; "dask"


def parameters_of(url: str, create: bool) -> dict[str, Any]:
    """How to connect, from a URL as libpq takes it.

    Raises UsageError, which doesn't tell the URL's parts: one of them may be of a password.
    """
    try:
        given: dict[str, Any] = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        raise _odd(url) from None
    ports = str(given.get("port", "")).split(",")
    names = f"{given.get('host')}{given.get('dbname')}"
    if "@" in names or not all(each.isdigit() or not each for each in ports):
        raise _odd(url)
    if create:  # of several servers, the one that can be written to
        given.setdefault("target_session_attrs", "read-write")
    return {**_DEFAULTS, **given, "client_encoding": "utf8"}


def _odd(url: str) -> UsageError:
    return UsageError(
        f"expected postgresql://USER@HOST/DATABASE, found something else in {shown_url(url)!r}: "
        "in a user's name or a password, write @ as %40, / as %2F, ? as %3F, # as %23, % as %25"
    )


def connect(parameters: Mapping[str, Any], create: bool) -> Connection:
    """A connection to a store, which is made if there is none and `create`.

    Raises psycopg.Error, and StoreError if there is no store, or this can't use it.
    """
    # Nothing is prepared: what pools connections may give each transaction another one.
    db = psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)
    try:
        db.isolation_level = IsolationLevel.READ_COMMITTED
        _check_server(db)
        if create and not _is_there(db):
            _create(db)
        _check_store(db)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: Connection) -> Iterator[Connection]:
    """Everything done inside is committed durably at the end, or undone after an error."""
    with db.transaction():
        db.execute(_SETTINGS)
        yield db


def check_writable(db: Connection) -> None:
    """Raise psycopg.Error, or StoreError, if this user can't write to the store."""
    with transaction(db):
        db.execute(f"INSERT INTO {SCHEMA}.words (publication, word, count) SELECT 0, '', 0 LIMIT 0")
        [temporary] = _one(db, "SELECT has_database_privilege(current_database(), 'TEMP')")
    if not temporary:
        raise StoreError(
            f"the user {db.info.user} may not make temporary tables, which commits need: "
            f"GRANT TEMP ON DATABASE {db.info.dbname} TO {db.info.user}"
        )


def may_create(url: str) -> bool:
    """Whether this user can make a store in a database that has none. Raises psycopg.Error."""
    parameters = parameters_of(url, create=True)
    with closing(psycopg.connect(**parameters, autocommit=True)) as db:
        [found] = _one(
            db,
            "SELECT has_database_privilege(current_database(), 'CREATE') OR EXISTS (SELECT 1 "
            "FROM pg_namespace WHERE nspname = %s AND has_schema_privilege(oid, 'CREATE'))",
            [SCHEMA],
        )
    return bool(found)


def _check_server(db: Connection) -> None:
    version, encoding = db.info.server_version, db.info.parameter_status("server_encoding")
    if version < OLDEST_SERVER * 10_000:
        raise StoreError(
            f"expected a PostgreSQL server of version {OLDEST_SERVER} or later, found "
            f"{version // 10_000}: use a newer one"
        )
    if encoding != "UTF8":
        raise StoreError(
            f"expected a database in UTF8, found {encoding}: create one with "
            "`createdb --encoding UTF8 --template template0 NAME`"
        )


def _is_there(db: Connection) -> bool:
    query = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'store'"
    return bool(db.execute(query, [SCHEMA]).fetchall())


def _create(db: Connection) -> None:
    with transaction(db):
        db.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATING])
        if _is_there(db):
            return  # another process was quicker
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = %s"
        if _one(db, tables, [SCHEMA]) != (0,):
            raise StoreError(
                f"the schema {SCHEMA} of the database {db.info.dbname} has tables that are not "
                "daskingest's: name another database"
            )
        # Whoever may not create schemas can be given this one.
        if not db.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [SCHEMA]).fetchall():
            db.execute(f"CREATE SCHEMA {SCHEMA}")
        db.execute(SCRIPT)


def _check_store(db: Connection) -> None:
    if not _is_there(db):
        raise NoStore(
            f"no store in the database {db.info.dbname}: nothing has been counted there yet; "
            "start with `daskingest run-csv FILE`, or name another with --store"
        )
    [found] = _one(db, f"SELECT version FROM {SCHEMA}.store")
    if found != VERSION:
        raise StoreError(
            f"{'a newer' if found > VERSION else 'an older'} daskingest wrote this store: it has "
            f"version {found} of the schema, and this one knows {VERSION}; use the daskingest that "
            "wrote it, or name another with --store"
        )


def _one(db: Connection, query: str, values: list[object] | None = None) -> TupleRow:
    [found] = db.execute(query, values).fetchall()
    return found
