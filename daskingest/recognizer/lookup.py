"""Finds the pieces of texts among those that are known, in compiled loops, with no object for each.

A piece is what stands between white space, or white space that is a token of its own: all but the
one space after a word, which belongs to the word's last token. Pieces are distinguished by a 64-bit
hash, as strings are in spaCy.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daskingest.compiling import compiled
from daskingest.recognizer.arrays import Flags, Indices, Ints

Keys = NDArray[np.uint64]

_SPACES = np.array([chr(code).isspace() for code in range(0x3001)])
"""Which characters are white space for Python, as for `re`; none after these is."""

_SEED = np.uint64(secrets.randbits(64))  # nobody can write a piece that is taken for another


@dataclass(slots=True)
class Cut:
    """The pieces of several texts, in order."""

    keys: Keys
    """The same for the same piece."""
    starts: Indices
    """Where each begins, in the characters of all texts,"""
    stops: Indices
    """and where it ends."""
    spaced: Flags
    """Those that a space follows which belongs to them."""
    counts: Indices
    """Of each text, the number of its pieces,"""
    words: Indices
    """and of those that are not white space."""


def cut(texts: Sequence[str]) -> Cut:
    """Raises UnicodeEncodeError for half a surrogate pair, as spaCy's tokenizer does."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
    keys = np.empty(len(codes), np.uint64)
    places = np.empty((2, len(codes)), np.intp)
    spaced = np.empty(len(codes), bool)
    counts, words = np.empty((2, len(texts)), np.intp)
    ends = np.cumsum([len(text) for text in texts], dtype=np.intp)
    n = _cut(codes, ends, _SPACES, _SEED, keys, places, spaced, counts, words)
    return Cut(keys[:n], places[0, :n], places[1, :n], spaced[:n], counts, words)


class Numbers:
    """Keys, numbered from 0 in the order in which they were added."""

    def __init__(self) -> None:
        self._keys = np.zeros(1 << 12, np.uint64)  # with _slots, a hash table of the numbers
        self._slots = np.full(1 << 12, -1, np.int32)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, keys: Keys) -> None:
        """Number keys that are not there yet, each of which is given once."""
        size = self._size + len(keys)
        numbers = np.arange(self._size, size)
        if 2 * size > len(self._slots):
            there = self._slots >= 0
            keys = np.concatenate([self._keys[there], keys])
            numbers = np.concatenate([self._slots[there], numbers])
            slots = 1 << (4 * size).bit_length()
            self._keys, self._slots = np.zeros(slots, np.uint64), np.full(slots, -1, np.int32)
        _seek(keys, self._keys, self._slots, numbers)
        self._size = size

    def of(self, keys: Keys) -> Indices:
        """The keys' numbers; -1 for those that have none."""
        numbers = np.full(len(keys), -1)
        _seek(keys, self._keys, self._slots, numbers)
        return numbers


class Known:
    """What is known of pieces: of each, some rows of three numbers.

    Pieces are numbered from 0 in the order in which they were added.
    """

    def __init__(self) -> None:
        self._numbers = Numbers()
        self._rows = np.empty((1 << 12, 3), np.int32)
        self._ends = np.zeros(1 << 10, np.intp)  # where each one's rows begin; the last one's end

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, keys: Keys, rows: Ints, lengths: Indices) -> None:
        """Add pieces that are not there yet, with as many of the rows each as `lengths` says."""
        before, size = len(self), len(self) + len(keys)
        used = self._ends[before]
        self._rows = with_room(self._rows, used + len(rows))
        self._rows[used : used + len(rows)] = rows
        self._ends = with_room(self._ends, size + 1)
        self._ends[before + 1 : size + 1] = used + np.cumsum(lengths)
        self._numbers.add(keys)

    def numbers(self, keys: Keys) -> Indices:
        """The pieces' numbers; -1 for those that are not known."""
        return self._numbers.of(keys)

    def rows(self, numbers: Indices) -> tuple[Ints, Indices]:
        """The rows of these pieces, one piece's after the other's, and how many each has."""
        stops = self._ends[numbers + 1]
        lengths = stops - self._ends[numbers]
        shifts = np.repeat(stops - np.cumsum(lengths), lengths)
        return self._rows[shifts + np.arange(len(shifts))], lengths


def with_room(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """The array, or if it has fewer rows than these, a larger one that begins with its rows."""
    if rows <= len(array):
        return array
    grown = np.zeros((2 * rows, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


@compiled
def _cut(
    codes: NDArray[np.uint32],
    text_ends: Indices,
    spaces: Flags,
    seed: np.uint64,
    keys: Keys,
    places: Indices,
    spaced: Flags,
    counts: Indices,
    words: Indices,
) -> int:
    """Set what Cut has, in arrays that have room for it; return the number of pieces."""
    n, start = 0, 0
    for text in range(len(text_ends)):
        before, end = n, text_ends[text]
        words[text] = 0
        while start < end:
            white = codes[start] < len(spaces) and spaces[codes[start]]
            stop, key = start, seed  # FNV-1a, with its high bits mixed in
            while stop < end and (codes[stop] < len(spaces) and spaces[codes[stop]]) == white:
                key = (key ^ np.uint64(codes[stop])) * np.uint64(0x100000001B3)
                key ^= key >> np.uint64(32)
                stop += 1
            keys[n], places[0, n], places[1, n] = key, start, stop
            spaced[n] = not white and stop < end and codes[stop] == 32
            words[text] += not white
            start = stop + spaced[n]
            n += 1
        counts[text] = n - before
    return n


@compiled
def _seek(keys: Keys, slot_keys: Keys, slots: Ints, numbers: Indices) -> None:
    """Set numbers that are -1 where the key is in the table; put the others into it."""
    for i in range(len(keys)):
        slot = np.int64(keys[i] & np.uint64(len(slots) - 1))
        while slots[slot] >= 0 and slot_keys[slot] != keys[i]:
            slot = (slot + 1) & (len(slots) - 1)
        if numbers[i] < 0:
            numbers[i] = slots[slot]
        else:
            slots[slot], slot_keys[slot] = numbers[i], keys[i]
