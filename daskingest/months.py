"""Months, as numbers counted from January 1970, which is 0, and what dates they are in."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate
from functools import lru_cache

_LONGEST_KNOWN = 64  # characters: what is in the place of a date may be a whole text

_FIRST_YEAR, _LAST_YEAR = 1500, 2199
"""Years outside are mistakes, or of another calendar."""

_YEAR_FIRST = re.compile(r"\s*(\d{4})(?:[-/.](\d{1,2})|(\d\d)(?:\d\d)?)(?!\d)")
_MONTH = re.compile(r"(\d{4})-(\d{2})(?:-\d{2})?")
_WRITTEN = ("%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%B %Y", "%b %Y")


def month_number(year: int, month: int) -> int | None:
    """The month's number; None if there is no such month, or not one that news can be of."""
    if not (_FIRST_YEAR <= year <= _LAST_YEAR and 1 <= month <= 12):
        return None
    return (year - 1970) * 12 + month - 1


def month_text(number: int) -> str:
    """`2016-06`."""
    year, month = divmod(number, 12)
    return f"{year + 1970:04}-{month + 1:02}"


def month_named(text: str) -> int | None:
    """The number of `2016-06`, or of a day in that month; None if the text is neither."""
    found = _MONTH.fullmatch(text.strip())
    return month_number(int(found[1]), int(found[2])) if found else None


def month_of(date: object) -> int | None:
    """The month that a date is in, as the date is written, whatever its time zone.

    A date is a text: ISO 8601, or with the year first otherwise, as in mails and feeds (RFC 2822),
    or in English (`June 1, 2016`). None if it is something else. `01/02/2016` is: who wrote it
    knows which of them is the month.
    """
    if not isinstance(date, str):
        return None
    return _known(date) if len(date) <= _LONGEST_KNOWN else _month_in(date)


@lru_cache(1 << 12)  # those of neighbouring articles are often the same
def _known(date: str) -> int | None:
    return _month_in(date)


def _month_in(date: str) -> int | None:
    found = _YEAR_FIRST.match(date)
    if found:
        return month_number(int(found[1]), int(found[2] or found[3]))
    parsed = parsedate(date) if any(map(str.isalpha, date)) else None
    if parsed is not None and date.strip()[:1].isalnum():
        return month_number(parsed[0], parsed[1])
    for form in _WRITTEN:
        try:
            day = datetime.strptime(date.strip(), form)
        except ValueError:
            continue
        return month_number(day.year, day.month)
    return None


def month_from(year: object, month: object) -> int | None:
    """The month of a year and a month, as numbers or texts: `2016` and `6`, or `6.0`, or `Jun`."""
    numbers = [_whole(year), _whole(month)]
    if numbers[1] is None and isinstance(month, str):
        numbers[1] = _named(month.strip()[:3])
    return None if None in numbers else month_number(*numbers)  # type: ignore[arg-type]


def _whole(value: object) -> int | None:
    """A whole number; pandas writes those of a column with gaps as `6.0`."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None


def _named(name: str) -> int | None:
    try:
        return datetime.strptime(name, "%b").month
    except ValueError:
        return None
