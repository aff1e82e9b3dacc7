"""Adds counts to the tables of a store in PostgreSQL, as sets of rows.

All counters are copied into a temporary table, from where a few statements add them to the store.
Of several who commit at once none waits for another that waits for it: all write to the tables in
the same sequence, and to each in the order of its keys.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
import psycopg
import pyarrow as pa
from psycopg.rows import TupleRow
from pyarrow import csv

from daskingest.packed import PackedCounts
from daskingest.stores.month_texts import LONG, text_of
from daskingest.stores.postgresql_layout import SCHEMA
from daskingest.stores.word_rows import with_months

Connection = psycopg.Connection[TupleRow]

_CHUNK = 1 << 20  # bytes that are sent together

_FRESH = """
CREATE TEMP TABLE fresh (publication integer, word text COLLATE "C", label text COLLATE "C",
    n bigint, spelling bigint, months text, turn integer) ON COMMIT DROP
"""
_COLUMNS = ("publication", "word", "label", "n", "spelling", "months", "turn")

_MONTHS = f"""
    months = CASE
        WHEN {{more}}.months IS NULL THEN its.months
        WHEN its.months IS NULL THEN {{more}}.months
        WHEN length(its.months) < {LONG} THEN its.months || ',' || {{more}}.months
        ELSE {SCHEMA}.summed_months(its.months || ',' || {{more}}.months) END
"""

_ADD = f"""
WITH added AS (
    INSERT INTO {SCHEMA}.words AS its (publication, word, count, label, spelling, months)
    SELECT publication, word, n, label, spelling, months FROM fresh WHERE turn = %(turn)s
    ORDER BY publication, word
    ON CONFLICT (publication, word) DO UPDATE SET
        count = its.count + excluded.count,
        other = its.other
            + CASE WHEN its.label = excluded.label THEN 0 ELSE excluded.count END,
        {_MONTHS.format(more="excluded")}
    RETURNING publication, word, label
)
INSERT INTO {SCHEMA}.other_labels AS its
SELECT publication, word, fresh.label, fresh.n
FROM fresh JOIN added USING (publication, word)
WHERE turn = %(turn)s AND fresh.label IS DISTINCT FROM added.label AND fresh.label IS NOT NULL
ORDER BY publication, word
ON CONFLICT (publication, word, label) DO UPDATE SET count = its.count + excluded.count
"""


def add(db: Connection, counts: PackedCounts) -> None:
    """Add all counts. To be called inside a transaction."""
    if not counts.publications:
        return
    publications = _numbers(db, counts)
    rows = _rows(counts, publications)
    if rows:
        db.execute(_FRESH)
        _copy(db, rows)
        for turn in range(int(rows["turn"].to_numpy().max()) + 1):
            db.execute(_ADD, {"turn": turn})
    _add_articles(db, counts)


def _numbers(db: Connection, counts: PackedCounts) -> list[int]:
    """The publications' numbers, of which new ones are made."""
    names = {each.key: each.name for each in counts.publications}
    query = f"SELECT key, id FROM {SCHEMA}.publications WHERE key = ANY(%s)"
    found: dict[str, int] = dict(db.execute(query, [list(names)]).fetchall())
    if new := sorted(key for key in names if key not in found):
        db.execute(
            f"INSERT INTO {SCHEMA}.publications (key, name, count) "
            "SELECT key, name, 0 FROM unnest(%s::text[], %s::text[]) AS new (key, name) "
            'ORDER BY key COLLATE "C" ON CONFLICT (key) DO NOTHING',
            [new, [names[key] for key in new]],
        )
        found |= dict(db.execute(query, [new]).fetchall())
    return [found[each.key] for each in counts.publications]


def _add_articles(db: Connection, counts: PackedCounts) -> None:
    """After the words: what two who commit have in common is locked for as short as can be."""
    every = counts.publications
    db.execute(
        f"SELECT 1 FROM {SCHEMA}.publications WHERE key = ANY(%s) ORDER BY key FOR NO KEY UPDATE",
        [[each.key for each in every]],
    )
    db.execute(
        f"UPDATE {SCHEMA}.publications AS its SET count = its.count + more.count, "
        f"{_MONTHS.format(more='more')} "
        "FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS more (key, count, months) "
        "WHERE its.key = more.key",
        [
            [each.key for each in every],
            [each.articles for each in every],
            [text_of(each.months) or None for each in every],
        ],
    )


def _rows(counts: PackedCounts, publications: list[int]) -> pa.Table:
    """What is copied. A word that has several labels comes in as many turns, once in each."""
    rows = with_months(counts)
    numbers = pa.array(publications, pa.int32()).take(rows["publication"].combine_chunks())
    rows = rows.set_column(0, "publication", numbers).sort_by(
        [(name, "ascending") for name in ("publication", "word", "label")]
    )
    same = np.ones(len(rows), bool)
    for name in ("publication", "word"):
        codes = rows[name].combine_chunks().dictionary_encode().indices.to_numpy()
        same &= np.diff(codes, prepend=-1) == 0
    places = np.arange(len(rows))
    turns = places - np.maximum.accumulate(np.where(same, 0, places))
    return rows.append_column("turn", pa.array(turns, pa.int32())).select(_COLUMNS)


def _copy(db: Connection, rows: pa.Table) -> None:
    text = BytesIO()
    options = csv.WriteOptions(include_header=False, quoting_style="all_valid")
    csv.write_csv(rows, text, options)
    with db.cursor() as cursor, cursor.copy("COPY fresh FROM STDIN (FORMAT csv)") as copy:
        whole = text.getbuffer()
        for start in range(0, len(whole), _CHUNK):
            copy.write(whole[start : start + _CHUNK])
