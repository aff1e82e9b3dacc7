"""The file beside a store that says what of it was published to one target, and what is planned.

It has the target's documents as this store has made them, and is all that is needed to tell what
the target lacks: the target is not read. A publish is made in commits, which have numbers. What a
commit holds is fixed here before it is sent, and becomes a part of what is published when the
target has it, whoever finds out: the program that sent it, or the one that comes after it.

Two programs may have the file open. So each transaction compares the epoch in which the target was
taken over: what an earlier one would still write is refused here as it is there.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from daskingest.errors import StoreError
from daskingest.ledger import Counted, Ledger
from daskingest.publishing.changes import (
    ARTICLES,
    Content,
    Document,
    Fewer,
    Labels,
    changed,
    difference,
)
from daskingest.sqlite_file import SchemaError, SqliteFile, SqliteSchema
from daskingest.stores import Hold, Replaced

_FIRST = "INSERT INTO state VALUES ('publish-' || lower(hex(randomblob(8))), 0, 0, 0, '', 0, '')"
_SCRIPT = f"""
CREATE TABLE state (
    run TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    source_epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    sending INTEGER NOT NULL,
    sending_checksum TEXT NOT NULL
);
CREATE TABLE publications (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);
CREATE TABLE published (
    publication INTEGER NOT NULL REFERENCES publications (id),
    word TEXT NOT NULL,
    counts TEXT NOT NULL,
    PRIMARY KEY (publication, word)
) WITHOUT ROWID;
CREATE TABLE plan (
    id INTEGER PRIMARY KEY,
    publication INTEGER NOT NULL REFERENCES publications (id),
    word TEXT NOT NULL,
    counts TEXT NOT NULL,
    spelling INTEGER NOT NULL DEFAULT 0
);
{_FIRST}
"""
"""`number` is of the last commit that the target has, `sending` the last row of the plan that is in
the commit after it, 0 when none was sent. `plan` has documents as they will be. `source_epoch` is
that of the source when it was read last."""

_SCHEMA = SqliteSchema(
    application_id=0x64617070,  # "dapp"
    version=2,
    script=_SCRIPT,
    upgrades={1: "ALTER TABLE plan ADD COLUMN spelling INTEGER NOT NULL DEFAULT 0"},
    readable=(1,),  # the plan is made anew before it is read
)


class Astray(Exception):
    """The file and the target don't belong together any more. Says what each of them has."""


@dataclass(frozen=True, slots=True)
class State:
    """How far the publishing to a target is; see the schema."""

    run: str
    epoch: int
    source_epoch: int
    number: int
    checksum: str
    sending: int
    sending_checksum: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes into one commit: (publication key, name, word, by how much each label grew,
    spelling)."""

    number: int
    checksum: str
    last: int
    rows: list[tuple[str, str, str, Labels, int]]


class PublishedFile:
    """See the module. Made if there is none, unless `read_only`.

    To be used by one thread at a time. Methods that take an `epoch` raise Replaced when another
    program has taken over. Raises StoreError if the file cannot be read or written.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        with self._working():
            self._file = SqliteFile(path, _SCHEMA, read_only)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    @property
    def state(self) -> State:
        """How far it is."""
        with self._working():
            return _state(self._file.connection)

    def reset(self, run: str) -> None:
        """Forget everything, unless another program did so meanwhile; `run` is the run until now.

        The run is a new one then.
        """
        with self._working(), self._file.transaction() as db:
            if _state(db).run == run:
                for table in ("plan", "published", "publications", "state"):
                    db.execute(f"DELETE FROM {table}")
                db.execute(_FIRST)

    def settle(self, hold: Hold, ledger: Ledger) -> bool:
        """The target was taken over, and has this ledger of the run: see what was sent to it.

        Returns whether it has a commit of which that was not known here. Raises Astray when it has
        others than were sent from here.
        """
        sent = {int(each.entry): entry for each, entry in ledger.items() if each.is_batch}
        last = max([hold.watermark, *sent])
        with self._working(), self._file.transaction() as db:
            state = _state(db)
            if hold.epoch < state.epoch:
                raise Replaced(hold.run, "")
            entry = sent.get(last)
            checksum = entry.checksum if isinstance(entry, Counted) else ""
            arrived = last == state.number + 1 and checksum == state.sending_checksum != ""
            if arrived:
                _published(db, state)
            elif last != state.number or checksum not in ("", state.checksum):
                raise Astray(f"{self.path} is at {state.number:,}, and the target at {last:,}")
            db.execute(
                "UPDATE state SET epoch = ?, sending = 0, sending_checksum = ''", (hold.epoch,)
            )
            return arrived

    def plan(self, epoch: int, source_epoch: int, every: Iterable[Content]) -> tuple[int, int]:
        """Plan to publish what of the source's content, which is all of it, is not published.

        Returns how many words that is, and how many publications. Raises Fewer where a count has
        fallen.
        """
        with self._transaction(epoch) as db:
            db.execute("DELETE FROM plan")
            db.execute("UPDATE state SET source_epoch = ?", (source_epoch,))
            for content, documents in _compared(db, every):
                publication = _publication(db, content)
                db.executemany(
                    "INSERT INTO plan (publication, word, counts, spelling) VALUES (?, ?, ?, ?)",
                    (
                        (publication, each.word, json.dumps(each.labels), each.spelling)
                        for each in documents
                    ),
                )
            [(every_one, publications)] = db.execute(
                "SELECT count(*), count(*) FILTER (WHERE word = ?) FROM plan", (ARTICLES,)
            ).fetchall()
            return every_one - publications, publications

    def changes(self, every: Iterable[Content]) -> Iterator[Document]:
        """What `plan` would plan."""
        with self._working():
            for _, documents in _compared(self._file.connection, every):
                yield from documents

    def next(self, epoch: int, most: int) -> Parcel | None:
        """What the next commit is to hold, of at most so many documents; None: all is published.

        It is fixed when this returns.
        """
        with self._transaction(epoch) as db:
            rows = db.execute(
                "SELECT plan.id, key, name, plan.word, plan.counts, published.counts, spelling "
                "FROM plan "
                "JOIN publications ON publications.id = plan.publication "
                "LEFT JOIN published ON published.publication = plan.publication "
                "AND published.word = plan.word ORDER BY plan.id LIMIT ?",
                (most,),
            ).fetchall()
            if not rows:
                return None
            grown = [
                (key, name, word, difference(json.loads(now), json.loads(before or "{}")), spelling)
                for _, key, name, word, now, before, spelling in rows
            ]
            checksum = hashlib.sha256(json.dumps(grown).encode()).hexdigest()[:32]
            last = rows[-1][0]
            db.execute("UPDATE state SET sending = ?, sending_checksum = ?", (last, checksum))
            return Parcel(_state(db).number + 1, checksum, last, grown)

    def acknowledge(self, epoch: int, parcel: Parcel) -> None:
        """The target has it."""
        with self._transaction(epoch) as db:
            state = _state(db)
            assert (state.number + 1, state.sending) == (parcel.number, parcel.last)
            _published(db, state)

    def skip(self, epoch: int, parcel: Parcel) -> None:
        """The target will never take it: leave it out of the plan."""
        with self._transaction(epoch) as db:
            db.execute("DELETE FROM plan WHERE id <= ?", (parcel.last,))
            db.execute("UPDATE state SET sending = 0, sending_checksum = ''")

    @contextmanager
    def _transaction(self, epoch: int) -> Iterator[sqlite3.Connection]:
        with self._working(), self._file.transaction() as db:
            if (state := _state(db)).epoch != epoch:
                raise Replaced(state.run, "")
            yield db

    @contextmanager
    def _working(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, SchemaError) as error:
            raise StoreError(
                f"cannot use {self.path}, which says what was published: {error}"
            ) from error


def _state(db: sqlite3.Connection) -> State:
    return State(*db.execute("SELECT * FROM state").fetchone())


def _published(db: sqlite3.Connection, state: State) -> None:
    """The target has what was sent."""
    db.execute(
        "INSERT OR REPLACE INTO published SELECT publication, word, counts FROM plan WHERE id <= ?",
        (state.sending,),
    )
    db.execute("DELETE FROM plan WHERE id <= ?", (state.sending,))
    db.execute(
        "UPDATE state SET number = number + 1, checksum = sending_checksum, sending = 0, "
        "sending_checksum = ''"
    )


def _publication(db: sqlite3.Connection, content: Content) -> int:
    [(number,)] = db.execute(
        "INSERT INTO publications (key, name) VALUES (?1, ?2) "
        "ON CONFLICT (key) DO UPDATE SET name = ?2 RETURNING id",
        (content.key, content.name),
    ).fetchall()
    return int(number)


def _compared(
    db: sqlite3.Connection, every: Iterable[Content]
) -> Iterator[tuple[Content, Iterator[Document]]]:
    """The documents of each publication that are not as they were published.

    Each is to be read to its end before the next. Raises Fewer.
    """
    missing = dict(db.execute("SELECT key, id FROM publications"))
    for content in every:
        rows = db.execute(
            "SELECT word, counts FROM published WHERE publication = ? ORDER BY word",
            (missing.pop(content.key, None),),
        )
        before = ((word, json.loads(counts)) for word, counts in rows)
        yield content, changed(content.documents, before)
    for key, number in missing.items():
        if db.execute("SELECT 1 FROM published WHERE publication = ?", (number,)).fetchone():
            raise Fewer(key)
