"""What writes to Cloud Firestore cost, and how long they take."""

from __future__ import annotations

from daskingest.stores.emulator import emulator
from daskingest.stores.write_rate import seconds_for
from daskingest.text import time_text

DOLLARS_FOR_A_WRITE = 0.18 / 100_000
"""Of a multi-region, in US dollars: Google's list price, cloud.google.com/firestore/pricing."""

AS_OF = "2025"
"""When the price was that. A single region may cost half."""

WRITES_PER_MB = 4_000
"""For a CSV file of news; 4,228 were measured with 20,087 articles in eleven commits."""

FREE_WRITES_A_DAY = 20_000
"""Of one database of each project."""


def writes_text(writes: int) -> str:
    """What so many writes cost and how long they take, for people."""
    if emulator():
        return f"{writes:,} writes to an emulator, which cost nothing"
    return (
        f"{writes:,} writes, {dollars_text(writes)} at most (list price of {AS_OF} for a "
        f"multi-region, $0.18 per 100,000; {FREE_WRITES_A_DAY:,} a day may be free), and "
        f"{time_text(seconds_for(writes))} at the pace that Firestore asks for"
    )


def dollars_text(writes: int) -> str:
    """What so many writes cost."""
    return "$0.00" if emulator() else f"${writes * DOLLARS_FOR_A_WRITE:,.2f}"


def distinct_words(size: float) -> int:
    """About how many words, of all publications, so many bytes of news as CSV have.

    Of 56 MB there were 162,455, of 28 MB 93,332, and of 7.4 MB 30,915: Heaps' law. Fewer
    publications have fewer.
    """
    words: float = 6_500 * (size / 1e6) ** 0.8
    return max(1, round(words))
