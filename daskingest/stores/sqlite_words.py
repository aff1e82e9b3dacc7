"""Reads a publication's words from an SQLite store: pages of them, and those that contain a text.

Frequent words come from an index, in its order; those of a label are sorted. The others have none:
those with the same count are found in the order of the table, where a page of them is never far,
unless few match. Then one pass over all of the publication's words finds them, by as many threads
as there are cores.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from daskingest.grouping import grouped
from daskingest.resources import usable_cores
from daskingest.sqlite_file import SqliteFile
from daskingest.stores import Word
from daskingest.stores.sqlite_layout import AS_NOW, FREQUENT, FREQUENT_BEFORE

_ORDER = "ORDER BY count DESC, word LIMIT :limit"
_ALPHABETICAL = "ORDER BY word LIMIT :limit"

# n is the count, of a label if one is asked for, and then at most that of the word. SQLite takes an
# index of some rows where the query has the same words as that.
_FREQUENT = f"count >= {FREQUENT} AND {{n}} >= {FREQUENT} AND {{n}} >= {FREQUENT_BEFORE}"
_AFTER = "{n} <= :count AND ({n} < :count OR word > :word)"
_OF_ONE_COUNT = "{n} = :count AND word > :word"

_HIGHEST = (1 << 63) - 1  # count

_CACHE = 16 << 20  # bytes; it has what is not mapped, as what is in the write-ahead log
_MAPPED = 1 << 40  # bytes, or what SQLite allows: 2 GiB by default

_RARE = 5_000  # frequent words of a label; if it has fewer, pages of the others take one pass
_LARGE = 1_000  # frequent words of a publication; if it has fewer, one thread reads it
_THREADS = 4  # at most, of a pass
_HEAPS = 0.77  # the exponent of Heaps' law; 0.75 to 0.8 for news
_TOGETHER = 400  # words that one query looks up

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
            found = self._rows(db, f"{_FREQUENT} AND {_AFTER}", _ORDER, limit, highest, behind)
            yield from found
            limit -= len(found)
            highest, behind = FREQUENT - 1, ""
        if limit and self.label is not None and self._rare(db):
            yield from self._one_pass(db, _AFTER, limit, highest, behind)
            return
        for count in range(highest, 0, -1):
            found = self._rows(db, _OF_ONE_COUNT, _ALPHABETICAL, limit, count, behind)
            yield from found
            limit -= len(found)
            if not limit:
                return
            behind = ""

    def search(self, db: sqlite3.Connection, limit: int) -> list[Row]:
        """Its most frequent words, by count descending, then word."""
        found = self._rows(db, _FREQUENT, _ORDER, limit)
        if len(found) == limit:
            return found
        if least := _low_enough(len(found) / limit):
            found = self._one_pass(db, "{n} >= :count", limit, least)
        return found if len(found) == limit else self._one_pass(db, "TRUE", limit)

    def with_labels(self, db: sqlite3.Connection, rows: Iterable[Row]) -> list[Word]:
        """The words with their counts by label: all of them, or the one that was asked for."""
        places = [(self.publication, word) for word, _ in rows]
        every = _looked_up(db, places)
        # A pass reads with connections of its own, which may see words that this one does not yet.
        words = [every[place] for place in places if place in every]
        if self.label is not None:
            words = [its for each in words if (its := each.under(self.label))]
        return sorted(words, key=lambda each: (-each.count, each.word))

    def _rows(
        self,
        db: sqlite3.Connection,
        where: str,
        order: str,
        limit: int,
        count: int = 0,
        word: str = "",
    ) -> list[Row]:
        return db.execute(self._query(where, order), self._values(limit, count, word)).fetchall()

    def _query(self, where: str, order: str) -> str:
        """A word has one of its labels in its own row, and what others it has in other rows."""
        if self.text:
            where = f"{where} AND instr(word, :text)"  # a count is read in less time
        if self.label is None:
            return _rows_of("words", "count", where) + order
        where = f"label = :label AND {where}"
        own, others = (
            _rows_of("words", "count - other", where),
            _rows_of("other_labels", "count", where),
        )
        return f"{own} UNION ALL {others} {order}"

    def _values(self, limit: int, count: int = 0, word: str = "") -> dict[str, object]:
        given = {"publication": self.publication, "label": self.label, "text": self.text}
        return {**given, "limit": limit, "count": count, "word": word}

    def _rare(self, db: sqlite3.Connection) -> bool:
        """Whether the label is one of few words."""
        return len(self._rows(db, _FREQUENT, "LIMIT :limit", _RARE)) < _RARE

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
                        + f"AND {where}",
                        _ORDER,
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
        words = sorted(word for word, _ in every._rows(db, _FREQUENT, _ORDER, _LARGE))
        if len(words) < _LARGE:
            return []
        parts = min(_THREADS, usable_cores())
        return [words[number * _LARGE // parts] for number in range(1, parts)]


def _low_enough(frequent: float) -> int:
    """The least count of what is shown, or half of that, where this part of it is frequent words.

    0 if that leaves nothing aside. Of real words `c ** -_HEAPS` occur c times or more.
    """
    least = int(FREQUENT * frequent ** (1 / _HEAPS) / 2)
    return least if least > 1 else 0


def _rows_of(table: str, count: str, where: str) -> str:
    condition = f"publication = :publication AND {where.format(n=f'({count})')}"
    return f"SELECT word, {count} AS count FROM {table} WHERE {condition} "


def found(
    db: sqlite3.Connection, words: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Word]:
    """See `Store.find_words`."""
    numbers = dict(
        db.execute(
            "SELECT id, key FROM publications WHERE key IN (SELECT value FROM json_each(?))",
            (json.dumps(list({key for key, _ in words})),),
        )
    )
    ids = {key: number for number, key in numbers.items()}
    wanted = [(ids[key], word) for key, word in words if key in ids]
    return {(numbers[at], word): each for (at, word), each in _looked_up(db, wanted).items()}


def _looked_up(
    db: sqlite3.Connection, words: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], Word]:
    """Those words of publications, by their numbers, that there are."""
    every: dict[tuple[int, str], Word] = {}
    for some in grouped(words, lambda each: 1, _TOGETHER):
        values = list(itertools.chain.from_iterable(some))
        wanted = (
            f"WITH wanted (at, name) AS (VALUES {', '.join(['(?, ?)'] * len(some))}) SELECT {{1}} "
            "FROM wanted CROSS JOIN {0} ON publication = at AND word = name"
        )
        query = wanted.format("words", "at, word, count, spelling, label, count - other")
        for at, word, count, spelling, label, its in db.execute(query, values):
            every[at, word] = Word(word, count, {label: its} if its else {}, spelling)
        query = wanted.format("other_labels", "at, word, label, count")
        for at, word, label, count in db.execute(query, values):
            every[at, word].labels[label] = count
    return every


def in_order(db: sqlite3.Connection, publication: int) -> Iterator[tuple[str, str, int, int]]:
    """A publication's words with a label, the count of that, and the spelling, in their order."""
    return db.execute(
        "SELECT word, label, count - other AS count, spelling FROM words "
        "WHERE publication = ?1 AND count > other "
        "UNION ALL SELECT word, other_labels.label, other_labels.count, spelling FROM other_labels "
        "JOIN words USING (publication, word) WHERE publication = ?1 ORDER BY word, label",
        (publication,),
    )
