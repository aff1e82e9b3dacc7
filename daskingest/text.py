"""Texts: normalisation, and sizes and durations for people."""

from __future__ import annotations

import os
import unicodedata

MAX_WORD = 256
"""Longest word that is counted, in characters."""

EntitySpan = tuple[int, int, str]
"""Where an entity is in its text: start and end, in characters, and its label."""


def fold_space(text: str) -> str:
    """The text with each run of white space replaced by one space, and none at the ends.

    Letters with marks are one character where there is such a one (NFC): what looks the same is the
    same, however it was typed.
    """
    folded = " ".join(text.split())
    return folded if folded.isascii() else unicodedata.normalize("NFC", folded)


def word_of(text: str) -> str:
    """The word that an entity's text is counted as; may be empty or too long to count.

    It is the text's lower case; the text in one line is its name.
    """
    return fold_space(text).lower()


def printable(text: str) -> str:
    """The text, made safe for a terminal: without control characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8: it has no lone surrogates."""
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_unicode(text: str) -> str:
    """Text of a command line, which may not have been read as UTF-8 though it is."""
    return os.fsencode(text).decode(errors="replace") if not is_unicode(text) else text


def size_text(size: float) -> str:
    """A number of bytes for people, with decimal units."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def time_text(seconds: float) -> str:
    """A duration for people: `42 s`, `3:07`, `2:05:00`."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}:{minutes:02}:{whole % 60:02}"
    return f"{minutes}:{whole % 60:02}" if minutes else f"{whole} s"
