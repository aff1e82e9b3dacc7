"""Checksums: what tells that bytes are still those that were counted.

They tell what changed by accident, or by somebody's editing: that two texts have the same by chance
happens once in 2^128. They don't keep anybody from making two texts that do, which XXH3 makes easy;
who can write the file can have it counted anyway.

Each range of a file was given one by SHA-256 once, which took most of the time of cutting the file.
XXH3 takes a tenth of that of reading it. A run goes on with the kind that it began with, so that
what the ledger has of it can be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_DIGITS = 32
_ID_DIGITS = 16
_xxhash: Any = import_module("xxhash") if find_spec("xxhash") else None


class Kind(StrEnum):
    """What makes a checksum, by what that begins with."""

    SHA256 = ""
    XXH3 = "x"

    @classmethod
    def of(cls, checksum: str) -> Kind:
        """What made a checksum."""
        return cls.XXH3 if checksum.startswith(cls.XXH3) else cls.SHA256


FASTEST = Kind.XXH3 if _xxhash else Kind.SHA256


def checksum(data: bytes | bytearray | memoryview, kind: Kind = Kind.SHA256) -> str:
    """32 hexadecimal digits, behind what tells their kind."""
    if kind is Kind.SHA256:
        return hashlib.sha256(data).hexdigest()[:_DIGITS]
    return kind + str(_xxhash.xxh3_128_hexdigest(data))


def matches(data: bytes, known: str) -> bool:
    """Whether the bytes have a checksum of whatever kind."""
    return checksum(data, Kind.of(known)) == known


def run_id(head: str, others: Iterable[str] = ()) -> str:
    """The id of the run of a file, from the checksum of what it begins with.

    `others`: the checksums of the ranges where it first differs from files that begin alike.
    """
    return checksum("\n".join([head, *sorted(others)]).encode())[:_ID_DIGITS]


class Whole:
    """The checksum of a whole file, from those of its ranges in their order, of their kind."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._kind = Kind.SHA256

    def add(self, part: str) -> None:
        """Go on with the range that follows."""
        self._digest.update(part.encode())
        self._kind = Kind.of(part)

    def __str__(self) -> str:
        return self._kind + self._digest.hexdigest()[:_DIGITS]
