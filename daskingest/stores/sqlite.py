"""The store in an SQLite file: one writer, readers never blocked, commits durable on return."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

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
from daskingest.packed import PackedCounts
from daskingest.sqlite_file import OtherApplication, OtherVersion, SqliteFile
from daskingest.stores import (
    AlreadyCommitted,
    Hold,
    Invalid,
    Publication,
    Replaced,
    Word,
    sqlite_commit,
)
from daskingest.stores.sqlite_layout import FREQUENT, SCHEMA

_OF_THE_DATA = (
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError),
    *(OverflowError, UnicodeError),
)
"""What says that a value can't be written, whenever it is tried."""

_CACHE_KIB = 262_144  # the tables outgrow SQLite's default of 2 MiB


class SqliteStore:
    """See `daskingest.stores.Store`. Opens its file when first used, on the thread that uses it."""

    billed = False
    commit_size = 100_000_000  # any number

    def __init__(self, path: str, create: bool = False) -> None:
        self._path = Path(path)
        self._create = create
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
            sqlite_commit.add(db, counts)
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
        return self._words(publication, limit, label, after)

    def search(
        self, publication: str, text: str, limit: int, label: str | None = None
    ) -> list[Word]:
        """See `Store.search`."""
        return self._words(publication, limit, label, None, text)

    def find_words(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Word]:
        """See `Store.find_words`."""
        found: dict[tuple[str, str], Word] = {}
        with self._reading() as db:
            rows = db.execute(
                "SELECT publications.key, labels.word, label, labels.count "
                "FROM json_each(?) AS pair "
                "JOIN publications ON publications.key = pair.value ->> 0 JOIN labels "
                "ON labels.publication = publications.id AND labels.word = pair.value ->> 1",
                (json.dumps(list(words)),),
            )
            for key, word, label, count in rows:
                before = found.get((key, word), Word(word, 0, {}))
                labels = {**before.labels, label: count}
                found[key, word] = Word(word, before.count + count, labels)
        return found

    def _words(
        self,
        publication: str,
        limit: int,
        label: str | None,
        after: tuple[int, str] | None,
        text: str = "",
    ) -> list[Word]:
        with self._reading() as db:
            found = list(
                itertools.islice(_by_count(db, publication, label, after, text, limit), limit)
            )
            if label is not None:
                return [Word(word, count, {label: count}) for _, word, count in found]
            by_label = "SELECT label, count FROM labels WHERE publication = ? AND word = ?"
            return [
                Word(word, count, dict(db.execute(by_label, (pid, word)).fetchall()))
                for pid, word, count in found
            ]

    def all_words(self, publication: str | None = None) -> Iterator[tuple[str, str, str, int]]:
        """See `Store.all_words`."""
        with self._reading() as db:
            publications = db.execute(
                "SELECT id, name FROM publications WHERE ?1 IS NULL OR key = ?1 ORDER BY key",
                (publication,),
            ).fetchall()
            for number, name in publications:
                rows = db.execute(
                    "SELECT word, label, count FROM labels WHERE publication = ? "
                    "ORDER BY word, label",
                    (number,),
                )
                for word, label, count in rows:
                    yield name, word, label, count

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
        return str(error) if folder.is_dir() else f"{error}: there is no folder {folder}; create it"

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._opened().connection
        except sqlite3.Error as error:
            raise StoreError(f"cannot read the store {self._path}: {self._why(error)}") from error

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
            file = self._open()
            try:
                if self._create:
                    sqlite_commit.prepare(file.connection)
                file.connection.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
            except BaseException:
                file.close()
                raise
            self._file = file
        return self._file

    def _open(self) -> SqliteFile:
        if not self._create and not self._path.is_file():
            raise StoreError(
                f"no store at {self._path}: nothing has been counted there yet; "
                "start with `daskingest run-csv FILE`, or name another with --store"
            )
        try:
            return SqliteFile(self._path, SCHEMA, read_only=not self._create)
        except OtherApplication:
            raise StoreError(
                f"{self._path} is not a daskingest store, but another SQLite file; "
                "name another with --store"
            ) from None
        except OtherVersion as error:
            raise StoreError(
                f"{self._path} has version {error.found} of the store's schema, expected "
                f"{SCHEMA.version}; use the daskingest that wrote it"
            ) from None


def _by_count(
    db: sqlite3.Connection,
    publication: str,
    label: str | None,
    after: tuple[int, str] | None,
    text: str,
    limit: int,
) -> Iterator[tuple[int, str, int]]:
    """A publication's words that contain the text, by count descending, then word.

    The frequent ones are read from their index, the others count by count in the table's order.
    """
    table = "words" if label is None else "labels"
    query = (
        f"SELECT publication, word, count FROM {table} "
        "WHERE publication = (SELECT id FROM publications WHERE key = :publication) "
        + ("AND label = :label " if label is not None else "")
        + ("AND instr(word, :text) " if text else "")
    )
    values = {"publication": publication, "label": label, "text": text, "limit": limit}
    highest, behind = after or (None, "")
    if highest is None or highest >= FREQUENT:
        more = "AND count <= :count AND (count < :count OR word > :word) " if after else ""
        order = "ORDER BY count DESC, word LIMIT :limit"
        yield from db.execute(
            f"{query} AND count >= {FREQUENT} {more} {order}",
            {**values, "count": highest, "word": behind},
        )
        highest, behind = FREQUENT - 1, ""
    for count in range(highest, 0, -1):
        yield from db.execute(
            f"{query} AND count = {count} AND word > :word ORDER BY word LIMIT :limit",
            {**values, "word": behind},
        )
        behind = ""


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
