"""The store in an SQLite file: one writer, readers never blocked, commits durable on return."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from daskingest.errors import StoreError
from daskingest.ledger import (
    BatchId,
    Begun,
    Done,
    Entry,
    Ledger,
    entry_to_json,
    read_ledger,
)
from daskingest.sqlite_file import OtherApplication, OtherVersion, SqliteFile, WalUnreadable
from daskingest.stores import (
    AlreadyCommitted,
    Hold,
    Invalid,
    Months,
    NoStore,
    Publication,
    Replaced,
    Word,
    WordRow,
    sqlite_months,
    sqlite_words,
)
from daskingest.stores.sqlite_layout import SCHEMA
from daskingest.stores.sqlite_upgrade import StoreUpgrading
from daskingest.stores.sqlite_words import Selection

if TYPE_CHECKING:
    from daskingest.packed import PackedCounts

log = logging.getLogger(__name__)

_OF_THE_DATA = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
    *(OverflowError, UnicodeError),
)
"""What says that a value can't be written, whenever it is tried."""


class SqliteStore:
    """See `daskingest.stores.Store`. Opens its file when first used, on the thread that uses it."""

    billed = False
    commit_size = 100_000_000  # any number

    def __init__(
        self, path: str, create: bool = False, say: Callable[[str], None] = log.info
    ) -> None:
        self._path = Path(path)
        self._create = create
        self._say = say
        self._file: SqliteFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def check(self) -> None:
        """Raise StoreError if the store isn't there, isn't one of ours, or can't be written."""
        with self._reading() as db:
            db.execute("SELECT 1 FROM ledger LIMIT 1")
        if self._create:
            with self._transaction():
                pass
        self.close()

    def take_over(self, run: str, owner: str) -> Hold:
        """See `Store.take_over`."""
        with self._transaction() as db:
            [(epoch, watermark)] = db.execute(
                "INSERT INTO runs VALUES (?, 1, ?, 0) ON CONFLICT (run) DO UPDATE "
                "SET epoch = epoch + 1, owner = excluded.owner RETURNING epoch, watermark",
                (run, owner),
            ).fetchall()
        return Hold(run, epoch, owner, watermark)

    def hold(self, run: str) -> Hold | None:
        """See `Store.hold`."""
        with self._reading() as db:
            return _hold(db, run)

    def commit(
        self, counts: PackedCounts, entries: Mapping[BatchId, Entry], holds: Collection[Hold] = ()
    ) -> int:
        """See `Store.commit`."""
        ledger = sorted((str(batch_id), entry_to_json(each)) for batch_id, each in entries.items())
        with self._transaction() as db:
            for each in holds:
                _compare(db, each)
                _settle(db, each)
            try:
                db.executemany("INSERT INTO ledger VALUES (?, ?)", ledger)
            except sqlite3.IntegrityError:
                raise AlreadyCommitted from None
            self._commit.add(counts)
            return len(entries) + counts.size

    def ledger(self, run: str) -> Ledger:
        """See `Store.ledger`."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT batch_id, note FROM ledger "
                "WHERE batch_id >= ? || ':' AND batch_id < ? || ';'",
                (run, run),
            )
            return read_ledger(dict(rows))

    def ledger_entries(self, batch_ids: Collection[BatchId]) -> Ledger:
        """See `Store.ledger_entries`."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT batch_id, note FROM ledger "
                "WHERE batch_id IN (SELECT value FROM json_each(?))",
                (json.dumps([str(batch_id) for batch_id in batch_ids]),),
            )
            return read_ledger(dict(rows))

    def begun(self) -> dict[str, Begun]:
        """See `Store.begun`."""
        found = self._of_runs("begin")
        return {key.run: each for key, each in found.items() if isinstance(each, Begun)}

    def finished(self) -> dict[str, Done]:
        """See `Store.finished`."""
        found = self._of_runs("done")
        return {key.run: each for key, each in found.items() if isinstance(each, Done)}

    def _of_runs(self, entry: str) -> Ledger:
        """All runs' entries of one of their own kinds."""
        with self._reading() as db:
            query = "SELECT batch_id, note FROM ledger WHERE batch_id GLOB '*:' || ?"
            return read_ledger(dict(db.execute(query, (entry,))))

    def forget(self, batch_ids: Collection[BatchId], hold: Hold) -> None:
        """See `Store.forget`."""
        with self._transaction() as db:
            _compare(db, hold)
            db.executemany(
                "DELETE FROM ledger WHERE batch_id = ?1 "
                "OR (batch_id >= ?1 || '.' AND batch_id < ?1 || '/')",
                ((str(batch_id),) for batch_id in batch_ids),
            )

    def counted_as(self, word: str) -> str:
        """See `Store.counted_as`."""
        return word

    def publications(self) -> list[Publication]:
        """See `Store.publications`."""
        with self._reading() as db:
            rows = db.execute("SELECT key, name, count FROM publications ORDER BY count DESC, key")
            return [Publication(*row) for row in rows]

    def publication(self, key: str) -> Publication | None:
        """See `Store.publication`."""
        with self._reading() as db:
            row = db.execute(
                "SELECT key, name, count FROM publications WHERE key = ?", (key,)
            ).fetchone()
            return Publication(*row) if row else None

    def words(
        self,
        publication: str,
        limit: int,
        after: tuple[int, str] | None = None,
        label: str | None = None,
    ) -> list[Word]:
        """See `Store.words`."""
        with self._snapshot() as db:
            selection = self._selection(db, publication, label)
            return selection.with_labels(db, selection.page(db, limit, after))

    def search(
        self, publication: str, text: str, limit: int, label: str | None = None
    ) -> list[Word]:
        """See `Store.search`."""
        with self._snapshot() as db:
            selection = self._selection(db, publication, label, text)
            return selection.with_labels(db, selection.search(db, limit))

    def matches(self, word: str, text: str) -> bool:
        """See `Store.matches`."""
        return text in word

    def _selection(
        self, db: sqlite3.Connection, publication: str, label: str | None, text: str = ""
    ) -> Selection:
        found = db.execute("SELECT id FROM publications WHERE key = ?", (publication,)).fetchone()
        return Selection(self._reader, found[0] if found else 0, label, text)

    def find_words(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Word]:
        """See `Store.find_words`."""
        with self._snapshot() as db:
            return sqlite_words.found(db, words)

    def all_words(self, publication: str | None = None) -> Iterator[WordRow]:
        """See `Store.all_words`."""
        with self._reading() as db:
            publications = db.execute(
                "SELECT id, name FROM publications WHERE ?1 IS NULL OR key = ?1 ORDER BY key",
                (publication,),
            ).fetchall()
            for number, name in publications:
                for row in sqlite_words.in_order(db, number):
                    yield name, *row

    def article_months(self, publication: str | None = None) -> dict[str, Months]:
        """See `Store.article_months`."""
        with self._reading() as db:
            return sqlite_months.of_articles(db, publication)

    def word_months(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Months]:
        """See `Store.word_months`."""
        with self._reading() as db:
            return sqlite_months.of_words(db, words)

    def all_months(self, publication: str) -> Iterator[tuple[str, Months]]:
        """See `Store.all_months`."""
        with self._reading() as db:
            yield from sqlite_months.of_all_words(db, publication)

    def forecast(self, size: int) -> str:
        """See `Store.forecast`."""
        return ""

    def close(self) -> None:
        """See `Store.close`."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _why(self, error: sqlite3.Error) -> str:
        folder = self._path.absolute().parent
        if self._path.is_file() and not os.access(self._path, os.R_OK):
            return f"{error}: you may not read it; ask for permission, or name another with --store"
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            return f"{error}: another program is writing to it, and has to end that first"
        return str(error) if folder.is_dir() else f"{error}: there is no folder {folder}; create it"

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._opened().connection
        except sqlite3.Error as error:
            raise StoreError(f"cannot read the store {self._path}: {self._why(error)}") from error

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """What is read inside is of one moment."""
        with self._reading() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("COMMIT")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._opened().transaction() as db:
                yield db
        except _OF_THE_DATA as error:
            raise Invalid(f"the store {self._path} refuses it: {error}") from error
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot write to the store {self._path}: {self._why(error)}"
            ) from error

    def _opened(self) -> SqliteFile:
        if self._file is None:
            self._file = self._writer() if self._create else self._reader()
        return self._file

    def _writer(self) -> SqliteFile:
        from daskingest.stores.sqlite_commit import SqliteCommit  # with Arrow

        with self._refusals():
            file = SqliteFile(self._path, SCHEMA, upgrading=StoreUpgrading(self._path, self._say))
        self._commit = SqliteCommit(file.connection)
        return file

    def _reader(self) -> SqliteFile:
        if not self._path.is_file():
            raise NoStore(
                f"no store at {self._path}: nothing has been counted there yet; "
                "start with `daskingest run-csv FILE`, or name another with --store"
            )
        with self._refusals():
            file = SqliteFile(self._path, SCHEMA, read_only=True)
        sqlite_words.prepare(file)
        return file

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OtherApplication:
            raise StoreError(
                f"{self._path} is not a daskingest store, but another SQLite file; "
                "name another with --store"
            ) from None
        except WalUnreadable:
            raise StoreError(
                f"cannot read the store {self._path}: its latest changes are in {self._path}-wal, "
                "which can be read only where its folder can be written; read it as the user who "
                "counts into it, or copy both files to a folder of your own"
            ) from None
        except OtherVersion as error:
            which = "a newer" if error.found > SCHEMA.version else "an older"
            raise StoreError(
                f"{which} daskingest wrote {self._path}: it has version {error.found} of the "
                f"store's schema, and this one knows {SCHEMA.version}; use the daskingest that "
                "wrote it, or name another with --store"
            ) from None


def _hold(db: sqlite3.Connection, run: str) -> Hold | None:
    found = db.execute("SELECT epoch, owner, watermark FROM runs WHERE run = ?", (run,)).fetchone()
    return Hold(run, *found) if found else None


def _compare(db: sqlite3.Connection, hold: Hold) -> None:
    """Raise Replaced unless the run is still held so. To be called inside a transaction."""
    now = _hold(db, hold.run)
    if now is None or now.epoch != hold.epoch:
        raise Replaced(hold.run, now.owner if now else "")


def _settle(db: sqlite3.Connection, hold: Hold) -> None:
    """Move a run's watermark."""
    db.execute("UPDATE runs SET watermark = ? WHERE run = ?", (hold.watermark, hold.run))
    ids = ((str(batch_id),) for batch_id in hold.settled)
    db.executemany("DELETE FROM ledger WHERE batch_id = ?", ids)
