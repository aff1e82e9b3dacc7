"""What of the spool's file could not be read: set aside in a table of its own, and told of.

So one bad row costs its own articles alone, and nothing that was acknowledged goes silently.
"""

from __future__ import annotations

import logging
import sqlite3

TABLE = "damaged"
SCRIPT = f"""
CREATE TABLE {TABLE} (
    place TEXT NOT NULL,
    articles INTEGER NOT NULL,
    reason TEXT NOT NULL,
    data BLOB
)"""

log = logging.getLogger(__name__)


class Damage:
    """The rows that were set aside. To be used inside of transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.articles = 0
        """How many articles are in them."""
        self.reload()

    def reload(self) -> None:
        """Take the number from the file."""
        [(self.articles,)] = self._db.execute(
            f"SELECT coalesce(sum(articles), 0) FROM {TABLE}"
        ).fetchall()

    def set_aside(self, place: str, articles: int, reason: object, data: object) -> None:
        """Keep what could be read of a row, as it is, and say so."""
        values = (place, articles, str(reason), data)
        self._db.execute(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?)", values)
        self.articles += articles
        log.error(
            "the spool is damaged: %s cannot be read (%s); everything else continues, and what "
            "is left of them is set aside in the table %s of spool.db",
            place,
            reason,
            TABLE,
            extra={"articles": articles},
        )

    def has(self, place: str) -> bool:
        """Whether something was set aside under this name. Numbers of articles come again, once
        the spool was empty; those of batches don't.
        """
        found = self._db.execute(f"SELECT 1 FROM {TABLE} WHERE place = ? LIMIT 1", (place,))
        return bool(found.fetchall())
