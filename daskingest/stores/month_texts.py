"""Counts by month as a text, as stores in SQL keep them in a row.

A row has those of its word, or its publication, in one text: `[month, count]`, separated by commas,
as they were added, so that a month may be there several times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from daskingest.stores import Months

LONG = 600
"""Characters of months, beyond which those of one word are summed up."""


def summed(text: str) -> str:
    """The same months, each of them once."""
    return text_of(months_in(text))


def text_of(months: Mapping[int, int]) -> str:
    """The text of months."""
    return ",".join(f"[{month},{count}]" for month, count in sorted(months.items()))


def months_in(text: str) -> Months:
    """The months in a text."""
    found: Months = {}
    for month, count in json.loads(f"[{text}]"):
        found[month] = found.get(month, 0) + count
    return found
