"""Checksums: what tells that bytes are still those that were counted."""

from __future__ import annotations

import hashlib

_DIGITS = 32


def checksum(data: bytes | bytearray | memoryview) -> str:
    """32 hexadecimal digits of SHA-256, which no two pieces of text have in common by chance."""
    return hashlib.sha256(data).hexdigest()[:_DIGITS]


class Whole:
    """The checksum of a whole file, from those of its ranges in their order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, part: str) -> None:
        """Go on with the range that follows."""
        self._digest.update(part.encode())

    def __str__(self) -> str:
        return self._digest.hexdigest()[:_DIGITS]
