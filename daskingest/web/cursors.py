"""Cursors: where a page of words ends, as text for a URL."""

from __future__ import annotations

import base64
import binascii
import json

from daskingest.web.problems import Problem

MAX_COUNT = 10**15
"""Largest count that a request may ask for."""


def to_cursor(count: int, word: str) -> str:
    """The cursor for the page after this word."""
    return base64.urlsafe_b64encode(json.dumps([count, word]).encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> tuple[int, str]:
    """The count and the word. Raises Problem if this is not a cursor."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        count, word = json.loads(base64.b64decode(padded, b"-_", validate=True))
        if type(count) is not int or type(word) is not str or abs(count) > MAX_COUNT:
            raise ValueError
        word.encode()
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise Problem(
            404,
            f"expected after to be the `next` of an earlier page, found {cursor[:50]!r}",
            "cursor",
        ) from None
    return count, word
