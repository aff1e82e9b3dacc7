"""Reads a publication's words from an SQLite store: pages of them, and those that contain a text.

Frequent words come from an index. The others have none: those with the same count are found in the
order of the table, where a page of them is never far, unless few match. Then one pass over all of
the publication's words finds them, by as many threads as there are cores.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from daskingest.resources import usable_cores
from daskingest.sqlite_file import SqliteFile
from daskingest.stores import Word
from daskingest.stores.sqlite_layout import AS_NOW, FREQUENT

_ORDER = "ORDER BY count DESC, word LIMIT :limit"
_AFTER = "count <= :count AND (count < :count OR word > :word)"

_HIGHEST = (1 << 63) - 1  # count

_CACHE = 16 << 20  # bytes; it has what is not mapped, as what is in the write-ahead log
_MAPPED = 1 << 40  # bytes, or what SQLite allows: 2 GiB by default

_RARE = 5_000  # frequent words of a label; if it has fewer, pages of the others take one pass
_FIRST = 20_000  # the most frequent words, which often are all that a search has to look at
_LARGE = 1_000  # frequent words of a publication; if it has fewer, one thread reads it
_THREADS = 4  # at most, of a pass

Row = tuple[str, int]
"""A word and its count."""


def prepare(file: SqliteFile) -> None:
    """Have a file read where the machine's page cache has it, without a copy.

    One of an earlier version is read as if it were of this one.
    """
    db = file.connection
    [(version,)] = db.execute("PRAGMA user_version").fetchall()
    if version in AS_NOW:
        db.executescript(AS_NOW[version])
    db.execute(f"PRAGMA cache_size = {-(_CACHE >> 10)}")
    db.execute(f"PRAGMA mmap_size = {_MAPPED}")


@dataclass(frozen=True, slots=True)
class Selection:
    """Words of a publication, by its number: all, or those with a label, or that contain a text.

    `another` opens the file once more, to read.
    """

    another: Callable[[], SqliteFile]
    publication: int
    label: str | None
    text: str = ""

    def page(
        self, db: sqlite3.Connection, limit: int, after: tuple[int, str] | None
    ) -> Iterator[Row]:
        """Words after a (count, word), by count descending, then word."""
        highest, behind = after or (_HIGHEST, "")
        if highest >= FREQUENT:
            found = self._rows(db, f"count >= {FREQUENT} AND {_AFTER}", limit, highest, behind)
            yield from found
            limit -= len(found)
            highest, behind = FREQUENT - 1, ""
        if limit and self.label is not None and self._rare(db):
            yield from self._one_pass(db, _AFTER, limit, highest, behind)
            return
        for count in range(highest, 0, -1):
            found = self._rows(db, "count = :count AND word > :word", limit, count, behind)
            yield from found
            limit -= len(found)
            if not limit:
                return
            behind = ""

    def search(self, db: sqlite3.Connection, limit: int) -> list[Row]:
        """Its most frequent words, by count descending, then word."""
        frequent = Selection(self.another, self.publication, self.label)._query(
            f"count >= {FREQUENT} ORDER BY count DESC, word LIMIT {_FIRST}"
        )
        query = f"SELECT word, count FROM ({frequent}) WHERE instr(word, :text) {_ORDER}"
        found = db.execute(query, self._values(limit)).fetchall()
        return found if len(found) == limit else self._one_pass(db, "TRUE", limit)

    def with_labels(self, db: sqlite3.Connection, row: Row) -> Word:
        """The word with its counts by label: all of them, or the one that was asked for."""
        (word, count), labels = row, {}
        place = self.publication, word
        query = "SELECT spelling FROM words WHERE publication = ? AND word = ?"
        [(spelling,)] = db.execute(query, place).fetchall()
        if self.label is not None:
            labels[self.label] = count
        else:
            query = "SELECT label, count FROM labels WHERE publication = ? AND word = ?"
            labels.update(db.execute(query, place).fetchall())
        return Word(word, count, labels, spelling)

    def _rows(
        self, db: sqlite3.Connection, where: str, limit: int, count: int = 0, word: str = ""
    ) -> list[Row]:
        values = self._values(limit, count, word)
        return db.execute(self._query(f"{where} {_ORDER}"), values).fetchall()

    def _query(self, where: str) -> str:
        return (
            f"SELECT word, count FROM {'words' if self.label is None else 'labels'} "
            "WHERE publication = :publication "
            + ("AND label = :label " if self.label is not None else "")
            + ("AND instr(word, :text) " if self.text else "")
            + f"AND {where}"
        )

    def _values(self, limit: int, count: int = 0, word: str = "") -> dict[str, object]:
        given = {"publication": self.publication, "label": self.label, "text": self.text}
        return {**given, "limit": limit, "count": count, "word": word}

    def _rare(self, db: sqlite3.Connection) -> bool:
        """Whether the label is one of few words."""
        return len(self._rows(db, f"count >= {FREQUENT}", _RARE)) < _RARE

    def _one_pass(
        self, db: sqlite3.Connection, where: str, limit: int, count: int = 0, word: str = ""
    ) -> list[Row]:
        """Reads all words of the publication, in a thread for each part of them."""

        def read(part: tuple[str, str | None]) -> list[Row]:
            above, last = part
            with self.another() as file:
                return file.connection.execute(
                    self._query(
                        "word > :above "
                        + ("AND word <= :last " if last is not None else "")
                        + f"AND {where} {_ORDER}"
                    ),
                    {**self._values(limit, count, word), "above": above, "last": last},
                ).fetchall()

        bounds = self._bounds(db)
        parts = [*zip(["", *bounds], [*bounds, None], strict=True)]
        with ThreadPoolExecutor(len(parts)) as threads:
            found = itertools.chain.from_iterable(threads.map(read, parts))
            return sorted(found, key=lambda row: (-row[1], row[0]))[:limit]

    def _bounds(self, db: sqlite3.Connection) -> list[str]:
        """Words that divide the publication into as many parts as there are threads to read it.

        Of the most frequent words about as many are in each part as of the others.
        """
        every = Selection(self.another, self.publication, None)
        words = sorted(word for word, _ in every._rows(db, f"count >= {FREQUENT}", _LARGE))
        if len(words) < _LARGE:
            return []
        parts = min(_THREADS, usable_cores())
        return [words[number * _LARGE // parts] for number in range(1, parts)]
