"""The articles of lines of JSON: each line is taken or rejected for itself."""

from __future__ import annotations

import hashlib
from collections import Counter

from daskingest.articles import Article, Unusable
from daskingest.web.parsing import article_of, rejection_of, too_large, value_of

_LISTED = 1_000  # rejected lines that an answer lists


class NdjsonReader:
    """Reads articles out of lines that are fed in pieces of any size, and keeps account of them.

    Holds at most one line, and no more of it than `max_bytes` bytes, the limit of an article, and a
    piece. Not bound to a thread.
    """

    def __init__(self, max_bytes: int) -> None:
        self.accepted = 0
        self.rejected = 0
        self.reasons: Counter[str] = Counter()
        """Rejected lines by their reasons."""
        self._max_bytes = max_bytes
        self._listed: list[dict[str, object]] = []
        self._digest = hashlib.sha256()
        self._number = 1  # of the next line
        self._rest = b""  # of a line that may go on
        self._skipping = False  # what follows of a line that was too long

    @property
    def digest(self) -> str:
        """What tells the bytes that were fed from others."""
        return self._digest.hexdigest()

    def feed(self, piece: bytes, last: bool) -> list[Article]:
        """The articles of the lines that a piece completes; the last piece completes its own."""
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
        """What the client is told. Not all of very many rejected lines are listed."""
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
