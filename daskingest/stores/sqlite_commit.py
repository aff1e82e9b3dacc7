"""Adds counts to the tables of an SQLite store: many rows with each statement.

They come in the order of a publication's words, so that pages are changed one after the other. With
a row each, calls would take more time than all that SQLite does. While a statement runs, so do
other threads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import pyarrow as pa

from daskingest.packed import PackedCounts, PackedPublication
from daskingest.resources import free_memory
from daskingest.stores.month_texts import LONG, summed, text_of
from daskingest.stores.word_rows import with_months

_LEAST_CACHE, _MOST_CACHE = 64 << 20, 512 << 20  # bytes; a quarter of what is free, between these

_TOGETHER = (100, 10, 1)
"""Rows in a statement. Each size is another statement to prepare, so there are few. With a thousand
rows, their values are more than a core's own cache of 512 KiB has room for, and a commit takes half
as long again."""

_SLICE = 10 * _TOGETHER[0]  # rows that are Python's objects at a time

_ADD = """
    ON CONFLICT (publication, word) DO UPDATE SET
        count = count + excluded.count,
        other = other + iif(label IS excluded.label, 0,
            of_other_label(publication, word, excluded.label, excluded.count))
"""
_WORDS = (
    "INSERT INTO words (publication, word, label, count, spelling) VALUES",
    "(?, ?, ?, ?, ?)",
    _ADD,
)
# A word with several labels comes several times, and has its months but once. The module `sqlite3`
# takes three times as long to bind a None as a text.
_WORDS_AND_MONTHS = (
    "INSERT INTO words (publication, word, label, count, spelling, months) VALUES",
    "(?, ?, ?, ?, ?, nullif(?, ''))",
    f"""{_ADD}, months = CASE
            WHEN excluded.months IS NULL THEN months
            WHEN months IS NULL THEN excluded.months
            WHEN length(months) < {LONG} THEN months || ',' || excluded.months
            ELSE summed_months(months || ',' || excluded.months) END
    """,
)
_OTHER_LABELS = (
    "INSERT INTO other_labels VALUES",
    "(?, ?, ?, ?)",
    "ON CONFLICT (publication, word, label) DO UPDATE SET count = count + excluded.count",
)


class SqliteCommit:
    """Adds counts through a connection. It leaves nothing else in the file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        cache = min(max(free_memory() // 4, _LEAST_CACHE), _MOST_CACHE)
        db.execute(f"PRAGMA cache_size = {-(cache >> 10)}")
        db.execute("PRAGMA temp_store = MEMORY")
        db.create_function("summed_months", 1, summed, deterministic=True)
        db.create_function("of_other_label", 4, self._of_other_label)
        self._db = db
        self._other: list[tuple[int, str, str, int]] = []

    def add(self, counts: PackedCounts) -> None:
        """Add all counts. To be called inside a transaction."""
        self._other.clear()
        its_numbers = [self._add_publication(each) for each in counts.publications]
        numbers = pa.array(its_numbers, pa.int64())
        statement, rows = _WORDS, counts.words
        if len(counts.months):
            statement, rows = _WORDS_AND_MONTHS, with_months(counts)
            rows = rows.set_column(5, "months", rows["months"].fill_null(""))
        rows = rows.set_column(0, "publication", numbers.take(rows["publication"]))
        for start in range(0, len(rows), _SLICE):
            some = rows.slice(start, _SLICE).columns
            self._insert(statement, [each.to_pylist() for each in some])
        self._insert(_OTHER_LABELS, list(zip(*self._other, strict=True)))

    def _of_other_label(self, publication: int, word: str, label: str | None, n: int) -> int:
        """Is called by SQL for what is added to a word that was seen with another label first.

        It saves looking up all words once more to find these.
        """
        if label is not None:
            self._other.append((publication, word, label, n))
        return n

    def _insert(self, statement: tuple[str, str, str], columns: Sequence[Sequence[object]]) -> None:
        """Run a statement, given before, for and after its rows, with all values of columns."""
        before, row, after = statement
        start, end = 0, len(columns[0]) if columns else 0
        for n in _TOGETHER:
            whole = f"{before} {', '.join([row] * n)} {after}"
            while start + n <= end:
                values: list[object] = [None] * (n * len(columns))
                for place, column in enumerate(columns):
                    values[place :: len(columns)] = column[start : start + n]
                self._db.execute(whole, values)
                start += n

    def _add_publication(self, publication: PackedPublication) -> int:
        months = text_of(publication.months) or None
        [(number,)] = self._db.execute(
            "INSERT INTO publications (key, name, count, months) VALUES (?1, ?2, ?3, ?4) "
            "ON CONFLICT (key) DO UPDATE SET count = count + ?3, months = CASE "
            "WHEN ?4 IS NULL THEN months WHEN months IS NULL THEN ?4 "
            "ELSE summed_months(months || ',' || ?4) END RETURNING id",
            (publication.key, publication.name, publication.articles, months),
        ).fetchall()
        return int(number)
