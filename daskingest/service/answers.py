"""The answers to requests by idempotency key: a repeated request gets the same answer."""

from __future__ import annotations

import json
import math
import sqlite3
from dataclasses import dataclass
from typing import Any

from daskingest.service.group_commit import Declined

_KEEP_SECONDS = 24 * 3600.0
_PRUNE_SECONDS = 60.0
_OVERHEAD = 100  # bytes that an answer costs besides its texts
_SIZE = f"length(key) + length(digest) + length(answer) + {_OVERHEAD}"


class KeyReused(Declined):
    """An idempotency key was used again with a different body."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A request's idempotency key, and a digest of its body."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request, a JSON object, and whether it is repeated from an earlier one."""

    body: dict[str, Any]
    repeated: bool = False


class Answers:
    """The answers in the spool's file, for a day. To be used inside of transactions.

    Times are seconds that the service has been in use.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._pruned = -math.inf
        self.bytes = 0
        """What they take on disk, about."""
        self.reload()

    def reload(self) -> None:
        """Take the size from the file."""
        [(self.bytes,)] = self._db.execute(
            f"SELECT coalesce(sum({_SIZE}), 0) FROM answers"
        ).fetchall()

    def give(self, body: dict[str, Any], key: IdempotencyKey | None, now: float) -> Answer:
        """The answer that was given for this key before, else this one, which is kept.

        Raises KeyReused.
        """
        if key is None:
            return Answer(body)
        found = self._db.execute("SELECT digest, answer FROM answers WHERE key = ?", (key.key,))
        for digest, known in found.fetchall():
            if digest != key.digest:
                raise KeyReused
            return Answer(json.loads(known), repeated=True)
        values = (key.key, key.digest, json.dumps(body), now)
        self._db.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", values)
        self.bytes += sum(map(len, values[:3])) + _OVERHEAD
        return Answer(body)

    def prune(self, now: float) -> None:
        """Delete answers older than a day; does so at most once a minute."""
        if now - self._pruned > _PRUNE_SECONDS:
            self._pruned = now
            old = (now - _KEEP_SECONDS,)
            [(freed,)] = self._db.execute(
                f"SELECT coalesce(sum({_SIZE}), 0) FROM answers WHERE given < ?", old
            ).fetchall()
            self._db.execute("DELETE FROM answers WHERE given < ?", old)
            self.bytes -= freed
