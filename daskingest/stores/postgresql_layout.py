"""The tables of a store in PostgreSQL, in a schema of their own: a database has one store.

They are those of a store in SQLite (`sqlite_layout`), for the same reasons, and so are the views
`labels` (publication, word, label, count) and `months` (publication, word, month, count).
Texts are compared by their bytes, in the order that all stores have.
"""

from __future__ import annotations

SCHEMA = "daskingest"
VERSION = 1
OLDEST_SERVER = 13

FREQUENT = 16
"""Words, and words under a label, are in the indexes by count from this count on."""

_TABLES = f"""
CREATE TABLE {SCHEMA}.store (version integer NOT NULL, id uuid NOT NULL);
CREATE TABLE {SCHEMA}.publications (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    count bigint NOT NULL,
    months text
);
CREATE TABLE {SCHEMA}.words (
    publication integer NOT NULL,
    word text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    label text COLLATE "C",
    other bigint NOT NULL DEFAULT 0,
    spelling bigint NOT NULL DEFAULT 0,
    months text,
    PRIMARY KEY (publication, word)
);
CREATE TABLE {SCHEMA}.other_labels (
    publication integer NOT NULL,
    word text COLLATE "C" NOT NULL,
    label text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (publication, word, label)
);
CREATE TABLE {SCHEMA}.ledger (batch_id text COLLATE "C" PRIMARY KEY, note text NOT NULL);
CREATE TABLE {SCHEMA}.runs (
    run text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL,
    owner text NOT NULL,
    watermark bigint NOT NULL
);
"""

_INDEXES = f"""
CREATE INDEX words_by_count ON {SCHEMA}.words (publication, count DESC, word)
    WHERE count >= {FREQUENT};
CREATE INDEX words_by_label ON {SCHEMA}.words (publication, label, (count - other) DESC, word)
    WHERE count - other >= {FREQUENT};
CREATE INDEX other_labels_by_count ON {SCHEMA}.other_labels (publication, label, count DESC, word)
    WHERE count >= {FREQUENT};
"""

_VIEWS = f"""
CREATE FUNCTION {SCHEMA}.months_in(months text) RETURNS TABLE (month integer, count bigint)
    LANGUAGE sql IMMUTABLE AS $$
    SELECT (value ->> 0)::integer, sum((value ->> 1)::bigint)::bigint
    FROM json_array_elements(('[' || months || ']')::json) GROUP BY 1
$$;
CREATE FUNCTION {SCHEMA}.summed_months(months text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg('[' || month || ',' || count || ']', ',' ORDER BY month)
    FROM {SCHEMA}.months_in(months)
$$;
CREATE VIEW {SCHEMA}.labels AS
    SELECT publication, word, label, count - other AS count
    FROM {SCHEMA}.words WHERE count > other
    UNION ALL SELECT publication, word, label, count FROM {SCHEMA}.other_labels;
CREATE VIEW {SCHEMA}.months AS
    SELECT publication, word, ('1970-01-01'::date + month * '1 month'::interval)::date AS month,
        its.count
    FROM {SCHEMA}.words CROSS JOIN LATERAL {SCHEMA}.months_in(words.months) AS its;
"""

SCRIPT = (
    _TABLES
    + _INDEXES
    + _VIEWS
    + f"""
INSERT INTO {SCHEMA}.store VALUES ({VERSION}, gen_random_uuid());
"""
)
