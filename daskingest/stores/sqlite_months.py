"""Counts by month in an SQLite store: how a row keeps them, and how they are read.

A row has those of its word, or its publication, in one text: `[month, count]`, separated by commas,
as they were added, so that a month may be there several times.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping

from daskingest.stores import Months


def summed(text: str) -> str:
    """The same months, each of them once."""
    return text_of(months_in(text))


def text_of(months: Mapping[int, int]) -> str:
    """The text of months."""
    return ",".join(f"[{month},{count}]" for month, count in sorted(months.items()))


def months_in(text: str) -> Months:
    """The months in a text."""
    found: Months = {}
    for month, count in json.loads(f"[{text}]"):
        found[month] = found.get(month, 0) + count
    return found


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
