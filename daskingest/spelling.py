"""How a word is written: its capital letters, as bits of a number.

Words are counted in lower case. Which of their letters are capitals, where a word is met first, is
kept with its count as a number, which takes few bytes and needs no table of its own.
"""

from __future__ import annotations

import re
from string import ascii_uppercase

LONGEST = 63
"""Characters that have a bit in SQLite's integers; later ones stay as they are."""

_MAY_BE_CAPITAL = re.compile(r"[^\x00-\x40\x5b-\x7f]")
_DIGITS = bytes(ord("1" if chr(byte) in ascii_uppercase else "0") for byte in range(256))


def spelling_of(name: str, word: str) -> int:
    """The spelling of a name that is counted as `word`: bit i says that character i is a capital.

    0 where the two can't be told from each other that way: some letters have a lower case of
    another length.
    """
    if name == word or len(name) != len(word):
        return 0
    if name.isascii() and name.lower() == word:  # nearly all, in half the time
        return int(name[LONGEST - 1 :: -1].encode().translate(_DIGITS), 2)
    bits = 0
    for match in _MAY_BE_CAPITAL.finditer(name, 0, LONGEST):
        at = match.start()
        if name[at] != word[at] and word[at].upper() == name[at]:
            bits |= 1 << at
    return bits


def spelled(word: str, spelling: int) -> str:
    """The word as it is written."""
    if not spelling:
        return word
    return "".join(
        letter.upper() if spelling >> at & 1 else letter for at, letter in enumerate(word)
    )
