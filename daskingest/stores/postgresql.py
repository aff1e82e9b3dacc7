"""The store in a PostgreSQL database; `postgresql_layout` has its tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import psycopg

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
from daskingest.stores import (
    AlreadyCommitted,
    Hold,
    Invalid,
    Months,
    Publication,
    Replaced,
    Word,
    WordRow,
    postgresql_commit,
    postgresql_words,
)
from daskingest.stores.month_texts import months_in
from daskingest.stores.postgresql_connection import (
    Connection,
    check_writable,
    connect,
    parameters_of,
    transaction,
)
from daskingest.stores.postgresql_errors import OF_THE_DATA, advice, lost
from daskingest.stores.postgresql_layout import SCHEMA
from daskingest.stores.postgresql_words import Selection
from daskingest.stores.urls import shown_url


class PostgresqlStore:
    """See `daskingest.stores.Store`. Connects when first used, in the process that uses it, and
    again after the connection was lost."""

    billed = False
    commit_size = 100_000_000  # any number

    def __init__(self, url: str, create: bool = False) -> None:
        self._name = shown_url(url)
        self._parameters = parameters_of(url, create)
        self._create = create
        self._db: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A reader's store is dropped with its thread, and the server's process would stay.
        if getattr(self, "_db", None) is not None:
            self.close()

    def check(self) -> None:
        """Raise StoreError if the store can't be read or, with `create`, can't be written."""
        with self._telling("write to" if self._create else "read"):
            self.close()
            db = self._opened()
            if self._create:
                check_writable(db)
        self.close()

    def identity(self) -> str:
        """What no other store has, whatever server a URL leads to."""
        [(found,)] = self._query(f"SELECT id::text FROM {SCHEMA}.store")
        return str(found)

    def take_over(self, run: str, owner: str) -> Hold:
        """See `Store.take_over`. Waits for a commit of the run that is being made."""
        with self._transaction() as db:
            [(epoch, watermark)] = db.execute(
                f"INSERT INTO {SCHEMA}.runs AS its VALUES (%s, 1, %s, 0) ON CONFLICT (run) "
                "DO UPDATE SET epoch = its.epoch + 1, owner = excluded.owner "
                "RETURNING epoch, watermark",
                [run, owner],
            ).fetchall()
        return Hold(run, epoch, owner, watermark)

    def hold(self, run: str) -> Hold | None:
        """See `Store.hold`."""
        found = self._query(_HOLD, {"run": run})
        return Hold(run, *found[0]) if found else None

    def commit(
        self, counts: PackedCounts, entries: Mapping[BatchId, Entry], holds: Collection[Hold] = ()
    ) -> int:
        """See `Store.commit`."""
        ledger = sorted((str(batch_id), entry_to_json(each)) for batch_id, each in entries.items())
        with self._transaction() as db:
            for each in sorted(holds, key=lambda hold: hold.run):
                _keep(db, each)
            added = db.execute(
                f"INSERT INTO {SCHEMA}.ledger SELECT * FROM unnest(%s::text[], %s::text[]) "
                "ON CONFLICT DO NOTHING",
                [[batch_id for batch_id, _ in ledger], [note for _, note in ledger]],
            )
            if added.rowcount != len(ledger):
                raise AlreadyCommitted
            postgresql_commit.add(db, counts)
        return len(entries) + counts.size

    def ledger(self, run: str) -> Ledger:
        """See `Store.ledger`."""
        return self._entries("batch_id >= %(run)s || ':' AND batch_id < %(run)s || ';'", run=run)

    def ledger_entries(self, batch_ids: Collection[BatchId]) -> Ledger:
        """See `Store.ledger_entries`."""
        return self._entries("batch_id = ANY(%(ids)s)", ids=[str(each) for each in batch_ids])

    def begun(self) -> dict[str, Begun]:
        """See `Store.begun`."""
        found = self._entries("batch_id LIKE '%%:begin'")
        return {key.run: each for key, each in found.items() if isinstance(each, Begun)}

    def finished(self) -> dict[str, Done]:
        """See `Store.finished`."""
        found = self._entries("batch_id LIKE '%%:done'")
        return {key.run: each for key, each in found.items() if isinstance(each, Done)}

    def _entries(self, where: str, **values: object) -> Ledger:
        rows = self._query(f"SELECT batch_id, note FROM {SCHEMA}.ledger WHERE {where}", values)
        return read_ledger(dict(rows))

    def forget(self, batch_ids: Collection[BatchId], hold: Hold) -> None:
        """See `Store.forget`."""
        with self._transaction() as db:
            _keep(db, hold)
            gone = f"DELETE FROM {SCHEMA}.ledger USING unnest(%s::text[]) AS gone (id) WHERE "
            ids = [str(batch_id) for batch_id in batch_ids]
            # Two, as each finds its entries by the index, and both at once would read all.
            db.execute(gone + "batch_id = id", [ids])
            db.execute(gone + "batch_id >= id || '.' AND batch_id < id || '/'", [ids])

    def counted_as(self, word: str) -> str:
        """See `Store.counted_as`."""
        return word

    def publications(self) -> list[Publication]:
        """See `Store.publications`."""
        rows = self._query(f"{_PUBLICATIONS} ORDER BY count DESC, key")
        return [Publication(*row) for row in rows]

    def publication(self, key: str) -> Publication | None:
        """See `Store.publication`."""
        found = self._query(f"{_PUBLICATIONS} WHERE key = %(key)s", {"key": key})
        return Publication(*found[0]) if found else None

    def words(
        self,
        publication: str,
        limit: int,
        after: tuple[int, str] | None = None,
        label: str | None = None,
    ) -> list[Word]:
        """See `Store.words`."""
        selection = self._selection(publication, label)
        return selection.with_labels(selection.page(limit, after))

    def search(
        self, publication: str, text: str, limit: int, label: str | None = None
    ) -> list[Word]:
        """See `Store.search`."""
        selection = self._selection(publication, label, text)
        return selection.with_labels(selection.search(limit))

    def matches(self, word: str, text: str) -> bool:
        """See `Store.matches`."""
        return text in word

    def _selection(self, publication: str, label: str | None, text: str = "") -> Selection:
        number = postgresql_words.number_of(self._query, publication)
        return Selection(self._query, number, label, text)

    def find_words(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Word]:
        """See `Store.find_words`."""
        return postgresql_words.found(self._query, words)

    def all_words(self, publication: str | None = None) -> Iterator[WordRow]:
        """See `Store.all_words`. A word's counts are of one moment."""
        rows = self._query(
            f"SELECT id, name FROM {SCHEMA}.publications "
            "WHERE %(key)s::text IS NULL OR key = %(key)s ORDER BY key",
            {"key": publication},
        )
        for number, name in rows:
            for each in postgresql_words.in_order(self._query, number):
                for label, count in sorted(each.labels.items()):
                    yield name, each.word, label, count, each.spelling

    def article_months(self, publication: str | None = None) -> dict[str, Months]:
        """See `Store.article_months`."""
        rows = self._query(
            f"SELECT key, months FROM {SCHEMA}.publications "
            "WHERE months IS NOT NULL AND (%(key)s::text IS NULL OR key = %(key)s)",
            {"key": publication},
        )
        return {key: months_in(text) for key, text in rows}

    def word_months(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Months]:
        """See `Store.word_months`."""
        return postgresql_words.months(self._query, words)

    def all_months(self, publication: str) -> Iterator[tuple[str, Months]]:
        """See `Store.all_months`."""
        number = postgresql_words.number_of(self._query, publication)
        yield from postgresql_words.months_in_order(self._query, number)

    def forecast(self, size: int) -> str:
        """See `Store.forecast`."""
        return ""

    def close(self) -> None:
        """See `Store.close`."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _opened(self) -> Connection:
        if self._db is None or self._db.closed:
            self._db = connect(self._parameters, self._create)
        return self._db

    def _query(
        self, statement: str, values: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows of a statement that only reads. A connection that was lost is made anew."""
        with self._telling("read"):
            if self._db is not None:
                try:
                    return self._db.execute(statement, values).fetchall()
                except psycopg.Error as error:
                    if not lost(error):
                        raise
                    self.close()
            return self._opened().execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """What is done inside is committed, durably; or nobody knows, and StoreError is raised."""
        with self._telling("write to"), transaction(self._opened()) as db:
            yield db

    @contextmanager
    def _telling(self, doing: str) -> Iterator[None]:
        """Turn the client's errors into StoreErrors that say what to do."""
        try:
            yield
        except OF_THE_DATA as error:
            told = " ".join(str(error).split())
            raise Invalid(f"the store {self._name} refuses it: {told}") from error
        except psycopg.Error as error:
            if lost(error):
                self.close()
            raise StoreError(f"cannot {doing} the store {self._name}: {advice(error)}") from error


_HOLD = f"SELECT epoch, owner, watermark FROM {SCHEMA}.runs WHERE run = %(run)s"
_PUBLICATIONS = f"SELECT key, name, count FROM {SCHEMA}.publications"


def _keep(db: Connection, hold: Hold) -> None:
    """Move a run's watermark, and keep others from taking it over until the transaction's end.

    Raises Replaced unless the run is still held so.
    """
    kept = db.execute(
        f"UPDATE {SCHEMA}.runs SET watermark = %s WHERE run = %s AND epoch = %s",
        [hold.watermark, hold.run, hold.epoch],
    )
    if not kept.rowcount:
        found = db.execute(_HOLD, {"run": hold.run}).fetchone()
        raise Replaced(hold.run, found[1] if found else "")
    ids = [str(batch_id) for batch_id in hold.settled]
    db.execute(f"DELETE FROM {SCHEMA}.ledger WHERE batch_id = ANY(%s)", [ids])
