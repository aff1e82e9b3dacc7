"""The tables of a store in SQLite, and how those of earlier versions become them.

`words`, `labels` and `months` are meant to be queried with any tool: (publication, word, count),
(publication, word, label, count), and (publication, word, month, count), of articles with a date.
The last two are views. `spelling` says which letters of a word are capitals
(`daskingest.spelling`).

A word is one row, with all that most words have: one label, and a few months. So a commit changes
one row for each of its words, in their order, page after page. Where a word has other labels than
the one it was seen with first, `other` is how much of its count they have, and `other_labels` has
them. What is read by count, the frequent words, has an index, one for all that is read: by label,
too, as all of a publication's frequent words are few enough to look at. The many words that occur
fewer than `FREQUENT` times have none, which would cost every commit, and are found in the tables'
own order.
"""

from __future__ import annotations

from daskingest.sqlite_file import SqliteSchema

FREQUENT = 64
"""Words, and their other labels, are in the indexes by count from this count on."""

FREQUENT_BEFORE = 16
"""The same in version 2, whose words have an index by label, too, as those of version 3."""

_WORDS = """
CREATE TABLE words (
    publication INTEGER NOT NULL REFERENCES publications (id),
    word TEXT NOT NULL,
    count INTEGER NOT NULL,
    label TEXT,
    other INTEGER NOT NULL DEFAULT 0,
    spelling INTEGER NOT NULL DEFAULT 0,
    months TEXT,
    PRIMARY KEY (publication, word)
) WITHOUT ROWID;
CREATE TABLE other_labels (
    publication INTEGER NOT NULL REFERENCES publications (id),
    word TEXT NOT NULL,
    label TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (publication, word, label)
) WITHOUT ROWID;
"""

_INDEXES = f"""
CREATE INDEX words_by_count ON words (publication, count DESC, word, label, other)
    WHERE count >= {FREQUENT};
CREATE INDEX other_labels_by_count ON other_labels (publication, label, count DESC, word)
    WHERE count >= {FREQUENT};
"""

_VIEWS = """
CREATE VIEW labels AS
    SELECT publication, word, label, count - other AS count FROM words WHERE count > other
    UNION ALL SELECT publication, word, label, count FROM other_labels;
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
{_WORDS.strip()}
CREATE TABLE ledger (
    batch_id TEXT PRIMARY KEY,
    note TEXT NOT NULL
) WITHOUT ROWID;
{_RUNS.strip()}
{_INDEXES.strip()}
{_VIEWS.strip()}
"""

_FROM_1 = f"""
{_RUNS.strip()}
ALTER TABLE publications ADD COLUMN months TEXT;
DROP INDEX IF EXISTS words_by_count;
DROP INDEX IF EXISTS labels_by_count;
ALTER TABLE words RENAME TO words_before;
ALTER TABLE labels RENAME TO labels_before;
{_WORDS.strip()}
INSERT INTO words (publication, word, count, label, other)
    SELECT words.publication, word, words.count, label, words.count - ifnull(max(labels.count), 0)
    FROM words_before AS words LEFT JOIN labels_before AS labels USING (publication, word)
    GROUP BY words.publication, word;
INSERT INTO other_labels
    SELECT labels.publication, word, labels.label, labels.count
    FROM labels_before AS labels JOIN words USING (publication, word)
    WHERE labels.label IS NOT words.label;
DROP TABLE labels_before;
DROP TABLE words_before;
{_VIEWS.strip()}
"""

_FROM_2 = ""  # only indexes differ, and those are made anew from the next one

_FROM_3 = f"""
DROP INDEX IF EXISTS words_by_count;
DROP INDEX IF EXISTS words_by_label;
DROP INDEX IF EXISTS other_labels_by_count;
{_INDEXES.strip()}
"""

AS_NOW = {
    1: "CREATE TEMP VIEW publications AS SELECT *, NULL AS months FROM main.publications;"
    "CREATE TEMP VIEW words AS SELECT *, NULL AS label, count AS other, 0 AS spelling, "
    "NULL AS months FROM main.words;"
    "CREATE TEMP VIEW other_labels AS SELECT * FROM main.labels;",
    2: "",
    3: "",
}
"""What makes a connection read a file of an earlier version as if it were of this one."""

SCHEMA = SqliteSchema(
    application_id=0x6461736B,  # "dask"
    version=4,
    script=_SCRIPT.strip(),
    upgrades={1: _FROM_1.strip(), 2: _FROM_2, 3: _FROM_3.strip()},
    readable=tuple(AS_NOW),
    page_size=8192,
)
