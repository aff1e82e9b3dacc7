"""Names without an end, and how often each one comes.

The figures are those of 20,087 real articles, counted: half of all mentions are of a thousand
names, and those that were not seen before grow with the 0.75th to 0.8th power of the mentions
(Heaps' law), however many there are.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]

_TAIL = 0.745  # names grow with mentions to this power, once there are many
_RANKS = (1, 10, 100, 1_000, 10_000)
_SHARES = (0.008, 0.06, 0.19, 0.44, 0.69)  # of the mentions: the names up to these ranks'
_MOST_RANK = 1e12

FREQUENT_RANK = _RANKS[-2]
"""Names of lower ranks are frequent: there are more places among them."""


def ranks(random: np.random.Generator, number: int) -> Whole:
    """So many names, by rank: that of the most frequent one is 1."""
    drawn = random.random(number)
    found = np.exp(np.interp(drawn, _SHARES, np.log(_RANKS)))
    tail = drawn > _SHARES[-1]
    rest = (1 - drawn[tail]) / (1 - _SHARES[-1])
    found[tail] = _RANKS[-1] * rest ** (-1 / (1 / _TAIL - 1))
    return np.minimum(found, _MOST_RANK).astype(np.int64)


def shares(publications: int) -> NDArray[np.float64]:
    """How much of all each publication publishes: an agency a third, the others ever less."""
    sizes: NDArray[np.float64] = 1 / np.arange(1.0, publications + 1)
    sizes[0] *= 2
    sizes /= sizes.sum()
    return sizes


def _parts() -> list[str]:
    """512 different parts of names, of two to seven letters."""
    onsets = ("b", "d", "g", "h", "k", "l", "m", "r")
    rhymes = ("a", "e", "an", "er", "in", "on", "al", "or")
    ends = ("", "a", "ey", "man", "ski", "ton", "burg", "ia")
    return ["".join(each) for each in itertools.product(onsets, rhymes, ends)]


_PARTS = np.array(_parts(), object)
_BITS = 9  # of a part's number
_MOST_PARTS = 6
_SCRAMBLE = 0x9E3779B1  # odd, so that multiplying by it keeps numbers apart


def names(numbers: Whole) -> list[str]:
    """A name for each number below 2 ** 54, in lower case: another for each, longer for larger."""
    texts = np.empty(len(numbers), object)
    for parts in range(1, _MOST_PARTS + 1):
        low, high = (1 << _BITS * (parts - 1)) if parts > 1 else 0, 1 << _BITS * parts
        chosen = np.flatnonzero((numbers >= low) & (numbers < high))
        mixed = numbers[chosen].astype(np.uint64) * np.uint64(_SCRAMBLE) % np.uint64(high)
        columns = [
            _PARTS[(mixed >> np.uint64(_BITS * i)) & np.uint64((1 << _BITS) - 1)].tolist()
            for i in range(parts)
        ]
        texts[chosen] = [" ".join(each) for each in zip(*columns, strict=True)]
    found: list[str] = texts.tolist()
    return found
