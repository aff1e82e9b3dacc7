"""The tables of a store in SQLite, and how those of earlier versions become them.

`words` and `labels` are meant to be queried with any tool: (publication, word, count), and
(publication, word, label, count). `months` is a view: (publication, word, month, count), of
articles with a date. `spelling` says which letters of a word are capitals (`daskingest.spelling`).

Each counter is one row in each of the two tables, ordered by word, so that a large commit changes
whole pages from left to right. What is read by count, the frequent words, has an index; the many
words that occur fewer than `FREQUENT` times have none, which would cost every commit, and are found
in the tables' own order.
"""

from __future__ import annotations

from daskingest.sqlite_file import SqliteSchema

FREQUENT = 4
"""Words, and words under a label, are in the indexes by count from this count on."""

_INDEXES = f"""
CREATE INDEX words_by_count ON words (publication, count DESC, word) WHERE count >= {FREQUENT};
CREATE INDEX labels_by_count ON labels (publication, label, count DESC, word)
    WHERE count >= {FREQUENT};
CREATE VIEW months AS
    SELECT publication, word, date('1970-01-01', month || ' months') AS month, count FROM (
        SELECT publication, word, value ->> 0 AS month, sum(value ->> 1) AS count
        FROM words, json_each('[' || words.months || ']') GROUP BY publication, word, month);
"""

_RUNS = """
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    watermark INTEGER NOT NULL
) WITHOUT ROWID;
"""

_SCRIPT = f"""
CREATE TABLE publications (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    months TEXT
);
CREATE TABLE words (
    publication INTEGER NOT NULL REFERENCES publications (id),
    word TEXT NOT NULL,
    count INTEGER NOT NULL,
    months TEXT,
    spelling INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (publication, word)
) WITHOUT ROWID;
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
{_RUNS.strip()}
{_INDEXES.strip()}
"""

_FROM_1 = f"""
{_RUNS.strip()}
DROP INDEX IF EXISTS words_by_count;
DROP INDEX IF EXISTS labels_by_count;
ALTER TABLE publications ADD COLUMN months TEXT;
ALTER TABLE words ADD COLUMN months TEXT;
{_INDEXES.strip()}
"""

_FROM_2 = "ALTER TABLE words ADD COLUMN spelling INTEGER NOT NULL DEFAULT 0;"

_NO_MONTHS = "CREATE TEMP VIEW publications AS SELECT *, NULL AS months FROM main.publications;"

AS_NOW = {
    1: f"{_NO_MONTHS} CREATE TEMP VIEW words AS "
    "SELECT *, NULL AS months, 0 AS spelling FROM main.words;",
    2: "CREATE TEMP VIEW words AS SELECT *, 0 AS spelling FROM main.words;",
}
"""What makes a connection read a file of an earlier version as if it were of this one."""

SCHEMA = SqliteSchema(
    application_id=0x6461736B,  # "dask"
    version=3,
    script=_SCRIPT.strip(),
    upgrades={1: _FROM_1.strip(), 2: _FROM_2},
    readable=tuple(AS_NOW),
)
