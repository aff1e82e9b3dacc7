"""Counts by month, read from an SQLite store. How a row keeps them: `month_texts`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator

from daskingest.stores import Months
from daskingest.stores.month_texts import months_in


def of_articles(db: sqlite3.Connection, publication: str | None) -> dict[str, Months]:
    """See `Store.article_months`."""
    rows = db.execute(
        "SELECT key, months FROM publications "
        "WHERE months IS NOT NULL AND (?1 IS NULL OR key = ?1)",
        (publication,),
    )
    return {key: months_in(text) for key, text in rows}


def of_words(
    db: sqlite3.Connection, words: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Months]:
    """See `Store.word_months`."""
    rows = db.execute(
        "SELECT publications.key, words.word, words.months FROM json_each(?) AS pair "
        "JOIN publications ON publications.key = pair.value ->> 0 JOIN words "
        "ON words.publication = publications.id AND words.word = pair.value ->> 1 "
        "WHERE words.months IS NOT NULL",
        (json.dumps(list(words)),),
    )
    return {(key, word): months_in(text) for key, word, text in rows}


def of_all_words(db: sqlite3.Connection, publication: str) -> Iterator[tuple[str, Months]]:
    """See `Store.all_months`."""
    rows = db.execute(
        "SELECT word, words.months FROM words "
        "JOIN publications ON publications.id = words.publication "
        "WHERE key = ? AND words.months IS NOT NULL ORDER BY word",
        (publication,),
    )
    for word, text in rows:
        yield word, months_in(text)
