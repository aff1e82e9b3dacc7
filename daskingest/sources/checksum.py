"""Checksums: what tells that bytes are still those that were counted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_DIGITS = 32
_ID_DIGITS = 16


def checksum(data: bytes | bytearray | memoryview) -> str:
    """32 hexadecimal digits of SHA-256, which no two pieces of text have in common by chance."""
    return hashlib.sha256(data).hexdigest()[:_DIGITS]


def run_id(head: str, others: Iterable[str] = ()) -> str:
    """The id of the run of a file, from the checksum of what it begins with.

    `others`: the checksums of the ranges where it first differs from files that begin alike.
    """
    return checksum("\n".join([head, *sorted(others)]).encode())[:_ID_DIGITS]


class Whole:
    """The checksum of a whole file, from those of its ranges in their order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, part: str) -> None:
        """Go on with the range that follows."""
        self._digest.update(part.encode())

    def __str__(self) -> str:
        return self._digest.hexdigest()[:_DIGITS]
