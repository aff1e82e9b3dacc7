"""The articles in NDJSON: each line is accepted or rejected by itself."""

from __future__ import annotations

import hashlib
from collections import Counter

from daskingest.articles import Article, Unusable
from daskingest.web.parsing import article_of, rejection_of, too_large, value_of

_LISTED = 1_000  # rejected lines that an answer lists


class NdjsonReader:
    """Reads articles from lines that are fed in pieces of any size, and keeps count of them.

    Memory: one piece, and one line up to `max_bytes` bytes, which is the limit for an article. Not
    bound to a thread.
    """

    def __init__(self, max_bytes: int) -> None:
        self.accepted = 0
        self.rejected = 0
        self.reasons: Counter[str] = Counter()
        """Numbers of rejected lines by reason."""
        self._max_bytes = max_bytes
        self._listed: list[dict[str, object]] = []
        self._digest = hashlib.sha256()
        self._number = 1  # of the next line
        self._rest = b""  # of a line that may continue
        self._skipping = False  # the rest of a line that was too long

    @property
    def digest(self) -> str:
        """A digest of all bytes fed."""
        return self._digest.hexdigest()

    def feed(self, piece: bytes, last: bool) -> list[Article]:
        """The articles in the lines that this piece completes; the last one ends its line too."""
        self._digest.update(piece)
        *whole, rest = (self._rest + piece).split(b"\n")
        if last:
            whole, rest = [*whole, rest], b""
        if self._skipping and whole:
            whole[0], self._skipping = b"", False
        elif self._skipping:
            rest = b""
        articles = self._articles(whole)
        if len(rest) > self._max_bytes:
            self._reject(self._number, too_large(self._max_bytes))
            rest, self._skipping = b"", True
        self._rest = rest
        return articles

    def answer(self) -> dict[str, object]:
        """The answer to the client. It lists at most 1,000 rejected lines."""
        return {"accepted": self.accepted, "rejected": self.rejected, "errors": self._listed}

    def _articles(self, lines: list[bytes]) -> list[Article]:
        articles: list[Article] = []
        for number, line in enumerate(lines, self._number):
            if not line or line.isspace():
                continue
            try:
                if len(line) > self._max_bytes:
                    raise too_large(self._max_bytes)
                articles.append(article_of(value_of(line), self._max_bytes))
            except Unusable as error:
                self._reject(number, error)
        self._number += len(lines)
        self.accepted += len(articles)
        return articles

    def _reject(self, number: int, error: Unusable) -> None:
        self.rejected += 1
        self.reasons[error.reason] += 1
        if len(self._listed) < _LISTED:
            self._listed.append({"line": number, **rejection_of(error)})
