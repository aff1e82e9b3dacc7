"""Adds counts to the tables of an SQLite store: in key order, and by whole columns.

A publication's counters are first put into a temporary table, from where two statements add them to
`words` and `labels`. That takes less time than adding them one by one from Python, and lets other
threads run.
"""

from __future__ import annotations

import sqlite3

from daskingest.packed import Counters, PackedCounts, PackedPublication
from daskingest.resources import free_memory
from daskingest.stores.sqlite_months import summed, text_of

_LEAST_CACHE, _MOST_CACHE = 64 << 20, 1 << 30  # bytes; a quarter of what is free, between these

_LONG = 600  # characters of months, beyond which those of one word are summed up

_WORDS = """
INSERT INTO words (publication, word, count, spelling)
SELECT ?, word, count, spelling FROM fresh WHERE TRUE
ON CONFLICT (publication, word) DO UPDATE SET count = count + excluded.count
"""  # a word with several labels comes several times
_LABELS = """
INSERT INTO labels SELECT ?, word, label, count FROM fresh WHERE TRUE
ON CONFLICT (publication, word, label) DO UPDATE SET count = count + excluded.count
"""
_MONTHS = f"""
INSERT INTO words (publication, word, count, months)
SELECT ?, word, 0, months FROM fresh_months WHERE TRUE
ON CONFLICT (publication, word) DO UPDATE SET months = CASE
    WHEN months IS NULL THEN excluded.months
    WHEN length(months) < {_LONG} THEN months || ',' || excluded.months
    ELSE summed_months(months || ',' || excluded.months) END
"""


def prepare(db: sqlite3.Connection) -> None:
    """Make what `add` needs in a connection, and leaves nothing in the file."""
    cache = min(max(free_memory() // 4, _LEAST_CACHE), _MOST_CACHE)
    db.execute(f"PRAGMA cache_size = {-(cache >> 10)}")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("CREATE TEMP TABLE fresh (word TEXT, label TEXT, count INTEGER, spelling INTEGER)")
    db.execute("CREATE TEMP TABLE fresh_months (word TEXT, months TEXT)")
    db.create_function("summed_months", 1, summed, deterministic=True)


def add(db: sqlite3.Connection, counts: PackedCounts) -> None:
    """Add all counts. To be called inside a transaction."""
    for publication, words, months in counts.by_publication():
        number = _add_publication(db, publication)
        db.executemany("INSERT INTO fresh VALUES (?, ?, ?, ?)", zip(*words, strict=True))
        db.execute(_WORDS, (number,))
        db.execute(_LABELS, (number,))
        db.execute("DELETE FROM fresh")
        if months.words:
            db.executemany("INSERT INTO fresh_months VALUES (?, ?)", _texts(months).items())
            db.execute(_MONTHS, (number,))
            db.execute("DELETE FROM fresh_months")


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


def _texts(months: Counters) -> dict[str, str]:
    """Each word's months, as they are kept: `[month, count]`, separated by commas."""
    found: dict[str, str] = {}
    for word, month, count in zip(*months[:3], strict=True):
        text = f"[{month},{count}]"
        found[word] = f"{found[word]},{text}" if word in found else text
    return found
