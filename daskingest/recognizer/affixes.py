"""Spares a tokenizer searches for affixes that can't match.

spaCy's patterns for prefixes, suffixes and infixes are long lists of punctuation, and a search with
one takes longer than everything else that is done to a new string. Most strings consist of letters
only, and if every path through a pattern needs another character, none of them matches.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from functools import lru_cache
from re import _constants as op  # how `re` parses patterns; there since Python 3.11
from re import _parser as parser
from typing import Any, TypeVar

T = TypeVar("T")
Search = Callable[[str], T]

_LETTERS = {ord(letter) for letter in string.ascii_letters}


def spared(search: Search[T] | None, nothing: T) -> Search[T] | None:
    """The same search, but it returns `nothing` at once for ASCII letters, if that is certain."""
    pattern = getattr(search, "__self__", None)
    if search is None or not isinstance(pattern, re.Pattern) or not needs_other(pattern):
        return search

    def spare(text: str) -> T:
        return nothing if text.isascii() and text.isalpha() else search(text)

    return spare


@lru_cache
def needs_other(pattern: re.Pattern[str]) -> bool:
    """Whether it is certain that no text consisting of ASCII letters has a match anywhere."""
    if pattern.flags & re.IGNORECASE:  # then non-ASCII characters may match letters
        return False
    return _sequence_needs_other(parser.parse(pattern.pattern, pattern.flags))


def _sequence_needs_other(sequence: Any) -> bool:
    return any(_needs_other(code, value) for code, value in sequence)


def _needs_other(code: Any, value: Any) -> bool:
    if code is op.LITERAL:
        return value not in _LETTERS
    if code is op.IN:
        return all(_leaves_out_letters(*member) for member in value)
    if code is op.BRANCH:
        return all(map(_sequence_needs_other, value[1]))
    if code is op.SUBPATTERN:
        _, flags, _, inside = value
        return not flags & re.IGNORECASE and _sequence_needs_other(inside)
    if code in (op.MAX_REPEAT, op.MIN_REPEAT):
        least, _, inside = value
        return least > 0 and _sequence_needs_other(inside)
    if code is op.ASSERT:
        return _sequence_needs_other(value[1])
    return False


def _leaves_out_letters(code: Any, value: Any) -> bool:
    if code is op.LITERAL:
        return value not in _LETTERS
    if code is op.RANGE:
        return not any(value[0] <= letter <= value[1] for letter in _LETTERS)
    return value in (op.CATEGORY_DIGIT, op.CATEGORY_SPACE)
