"""The store in an SQLite file: one writer, readers never blocked, commits durable on return."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from daskingest.counts import Counts, PublicationCounts
from daskingest.errors import StoreError
from daskingest.ledger import (
    BatchId,
    Done,
    Entry,
    Ledger,
    entry_to_json,
    read_ledger,
)
from daskingest.sqlite_file import OtherApplication, OtherVersion, SqliteFile, SqliteSchema
from daskingest.stores import AlreadyCommitted, Publication, Word

_SCRIPT = """
CREATE TABLE publications (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    count INTEGER NOT NULL
);
CREATE TABLE words (
    publication INTEGER NOT NULL REFERENCES publications (id),
    word TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (publication, word)
) WITHOUT ROWID;
CREATE INDEX words_by_count ON words (publication, count DESC, word);
CREATE TABLE labels (
    publication INTEGER NOT NULL REFERENCES publications (id),
    word TEXT NOT NULL,
    label TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (publication, word, label)
) WITHOUT ROWID;
CREATE TABLE ledger (
    batch_id TEXT PRIMARY KEY,
    note TEXT NOT NULL
) WITHOUT ROWID;
"""

_SCHEMA = SqliteSchema(application_id=0x6461736B, version=1, script=_SCRIPT)  # "dask"
_INDEX = (
    "CREATE INDEX IF NOT EXISTS labels_by_count ON labels (publication, label, count DESC, word)"
)
_CACHE_KIB = 262_144  # the tables outgrow SQLite's default of 2 MiB


class SqliteStore:
    """See `daskingest.stores.Store`. Opens its file when first used, on the thread that uses it."""

    billed = False
    commit_size = 500_000
    settled_after = 0.0  # SQLite rolls back what a dead process left unfinished

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

    def commit(self, counts: Counts, entries: Mapping[BatchId, Entry]) -> int:
        """See `Store.commit`."""
        ledger = sorted((str(batch_id), entry_to_json(each)) for batch_id, each in entries.items())
        with self._transaction() as db:
            before = db.total_changes
            try:
                db.executemany("INSERT INTO ledger VALUES (?, ?)", ledger)
            except sqlite3.IntegrityError:
                raise AlreadyCommitted from None
            for key, each in sorted(counts.publications.items()):
                _add_publication(db, key, each)
            return db.total_changes - before

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

    def finished(self) -> dict[str, Done]:
        """See `Store.finished`."""
        with self._reading() as db:
            rows = db.execute("SELECT batch_id, note FROM ledger WHERE batch_id GLOB '*:done'")
            found = read_ledger(dict(rows))
        return {key.run: each for key, each in found.items() if isinstance(each, Done)}

    def forget(self, batch_ids: Collection[BatchId]) -> None:
        """See `Store.forget`."""
        with self._transaction() as db:
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
        if after is None:
            return self._words(publication, limit, label)
        where = "count <= ? AND (count < ? OR word > ?)"
        return self._words(publication, limit, label, where, (after[0], after[0], after[1]))

    def search(
        self, publication: str, text: str, limit: int, label: str | None = None
    ) -> list[Word]:
        """See `Store.search`."""
        return self._words(publication, limit, label, "instr(word, ?)", (text,))

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
        condition: str = "TRUE",
        values: tuple[object, ...] = (),
    ) -> list[Word]:
        source = "words" if label is None else "labels"
        where = ["publication = (SELECT id FROM publications WHERE key = ?)", condition]
        parameters = (publication, *values)
        if label is not None:
            where.append("label = ?")
            parameters += (label,)
        with self._reading() as db:
            found = db.execute(
                f"SELECT publication, word, count FROM {source} WHERE {' AND '.join(where)} "
                "ORDER BY count DESC, word LIMIT ?",
                (*parameters, limit),
            ).fetchall()
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
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot write to the store {self._path}: {self._why(error)}"
            ) from error

    def _opened(self) -> SqliteFile:
        if self._file is None:
            file = self._open()
            try:
                if self._create:  # stores of earlier versions lack it
                    file.connection.execute(_INDEX)
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
            return SqliteFile(self._path, _SCHEMA, read_only=not self._create)
        except OtherApplication:
            raise StoreError(
                f"{self._path} is not a daskingest store, but another SQLite file; "
                "name another with --store"
            ) from None
        except OtherVersion as error:
            raise StoreError(
                f"{self._path} has version {error.found} of the store's schema, expected "
                f"{_SCHEMA.version}; use the daskingest that wrote it"
            ) from None


def _add_publication(db: sqlite3.Connection, key: str, counts: PublicationCounts) -> None:
    [(publication,)] = db.execute(
        "INSERT INTO publications (key, name, count) VALUES (?, ?, ?) "
        "ON CONFLICT (key) DO UPDATE SET count = count + excluded.count RETURNING id",
        (key, counts.name, counts.articles),
    ).fetchall()
    labels = sorted(counts.words.items())
    totals: Counter[str] = Counter()
    for (word, _), count in labels:
        totals[word] += count
    db.executemany(
        "INSERT INTO words VALUES (?, ?, ?) ON CONFLICT (publication, word) "
        "DO UPDATE SET count = count + excluded.count",
        ((publication, word, count) for word, count in totals.items()),
    )
    db.executemany(
        "INSERT INTO labels VALUES (?, ?, ?, ?) ON CONFLICT (publication, word, label) "
        "DO UPDATE SET count = count + excluded.count",
        ((publication, word, label, count) for (word, label), count in labels),
    )
