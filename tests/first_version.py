"""Stores as earlier versions made them.

The first one had full indexes by count, and nothing by month. The second and the third have other
indexes than this one.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA application_id = 1684108139;
PRAGMA user_version = 1;
CREATE TABLE publications (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    count INTEGER NOT NULL);
CREATE TABLE words (publication INTEGER NOT NULL, word TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (publication, word)) WITHOUT ROWID;
CREATE INDEX words_by_count ON words (publication, count DESC, word);
CREATE TABLE labels (publication INTEGER NOT NULL, word TEXT NOT NULL, label TEXT NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (publication, word, label)) WITHOUT ROWID;
CREATE INDEX labels_by_count ON labels (publication, label, count DESC, word);
CREATE TABLE ledger (batch_id TEXT PRIMARY KEY, note TEXT NOT NULL) WITHOUT ROWID;
"""

_ROWS = """
INSERT INTO publications VALUES (1, 'p', 'P', 9), (2, 'q', 'Q', 5);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :words)
INSERT INTO words SELECT 1 + i % 2, printf('w %x', i * 7919), 1 + 200 / i FROM n;
INSERT INTO labels SELECT publication, word, 'ORG', count FROM words;
UPDATE words SET count = count + 2 WHERE word LIKE '%a';
INSERT INTO labels SELECT publication, word, 'GPE', 2 FROM words WHERE word LIKE '%a';
"""

_INDEXES = """
DROP INDEX words_by_count;
DROP INDEX other_labels_by_count;
CREATE INDEX words_by_count ON words (publication, count DESC, word) WHERE count >= :frequent;
CREATE INDEX words_by_label ON words (publication, label, count - other DESC, word, count, other)
    WHERE count - other >= :frequent;
CREATE INDEX other_labels_by_count ON other_labels (publication, label, count DESC, word)
    WHERE count >= :frequent;
"""


def with_indexes_of(version: int, path: Path) -> None:
    """Give a store of this version those of the second or the third, and its number."""
    script = _INDEXES.replace(":frequent", {2: "16", 3: "64"}[version])
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"{script}PRAGMA user_version = {version};")


def first_version(path: Path, words: int) -> None:
    """A store of two publications, P and Q, with so many words, some of them under two labels."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(_TABLES + _ROWS.replace(":words", str(words)))


def version(path: Path) -> int:
    """A store's version."""
    with closing(sqlite3.connect(path)) as db:
        [found] = db.execute("PRAGMA user_version").fetchone()
    return int(found)
