"""Adds counts to the tables of an SQLite store: in key order, and by whole columns.

A publication's counters are first put into a temporary table, from where two statements add them to
the store. That takes less time than adding them one by one from Python, and lets other threads run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from daskingest.packed import PackedCounts, PackedPublication
from daskingest.resources import free_memory
from daskingest.stores.month_texts import LONG, summed, text_of
from daskingest.stores.word_rows import with_months

_LEAST_CACHE, _MOST_CACHE = 64 << 20, 1 << 30  # bytes; a quarter of what is free, between these

_COLUMNS = ("word", "label", "n", "spelling", "months")

_WORDS = f"""
INSERT INTO words (publication, word, count, label, spelling, months)
SELECT ?, word, count, label, spelling, months FROM fresh WHERE TRUE
ON CONFLICT (publication, word) DO UPDATE SET
    count = count + excluded.count,
    other = other + iif(label IS excluded.label, 0, excluded.count),
    months = CASE
        WHEN excluded.months IS NULL THEN months
        WHEN months IS NULL THEN excluded.months
        WHEN length(months) < {LONG} THEN months || ',' || excluded.months
        ELSE summed_months(months || ',' || excluded.months) END
"""  # a word with several labels comes several times, and has its months but once
_OTHER_LABELS = """
INSERT INTO other_labels
SELECT ?1, fresh.word, fresh.label, fresh.count FROM fresh
CROSS JOIN words ON words.publication = ?1 AND words.word = fresh.word
WHERE words.label IS NOT fresh.label AND fresh.label IS NOT NULL
ON CONFLICT (publication, word, label) DO UPDATE SET count = count + excluded.count
"""


def prepare(db: sqlite3.Connection) -> None:
    """Make what `add` needs in a connection, and leaves nothing in the file."""
    cache = min(max(free_memory() // 4, _LEAST_CACHE), _MOST_CACHE)
    db.execute(f"PRAGMA cache_size = {-(cache >> 10)}")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute(
        "CREATE TEMP TABLE fresh "
        "(word TEXT, label TEXT, count INTEGER, spelling INTEGER, months TEXT)"
    )
    db.create_function("summed_months", 1, summed, deterministic=True)


def add(db: sqlite3.Connection, counts: PackedCounts) -> None:
    """Add all counts. To be called inside a transaction."""
    for publication, rows in _by_publication(counts):
        number = _add_publication(db, publication)
        if rows:
            columns = [rows[name].to_pylist() for name in _COLUMNS]
            db.executemany("INSERT INTO fresh VALUES (?, ?, ?, ?, ?)", zip(*columns, strict=True))
            db.execute(_WORDS, (number,))
            db.execute(_OTHER_LABELS, (number,))
            db.execute("DELETE FROM fresh")


def _add_publication(db: sqlite3.Connection, publication: PackedPublication) -> int:
    months = text_of(publication.months) or None
    [(number,)] = db.execute(
        "INSERT INTO publications (key, name, count, months) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT (key) DO UPDATE SET count = count + ?3, months = CASE "
        "WHEN ?4 IS NULL THEN months WHEN months IS NULL THEN ?4 "
        "ELSE summed_months(months || ',' || ?4) END RETURNING id",
        (publication.key, publication.name, publication.articles, months),
    ).fetchall()
    return int(number)


def _by_publication(counts: PackedCounts) -> Iterator[tuple[PackedPublication, pa.Table]]:
    """Each publication, by key, with its rows in the order of their words."""
    rows = with_months(counts).sort_by([("publication", "ascending"), ("word", "ascending")])
    numbers = rows["publication"].to_numpy()
    for number, publication in sorted(
        enumerate(counts.publications), key=lambda numbered: numbered[1].key
    ):
        start, end = np.searchsorted(numbers, [number, number + 1]).tolist()
        yield publication, rows.slice(start, end - start)
