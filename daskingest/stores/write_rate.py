"""How fast Firestore may be written to: its rules for ramping up traffic."""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_RATE = 500.0
"""Writes a second to new collections, as Firestore advises; half as many again every five minutes.

Source: "Ramping up traffic" in Firestore's best practices.
"""

MAX_RATE = 10_000.0
_STEP_SECONDS, _STEP = 300.0, 1.5
_PAUSE_SECONDS = 1.0  # between two writes to the same document, here a publication's


class WriteRate:
    """Spaces commits so that their writes stay within the allowed rate, of which each of so many
    `writers` has its share."""

    def __init__(
        self,
        enabled: bool = True,
        writers: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._enabled = enabled
        self._writers = writers
        self._clock, self._sleep = clock, sleep
        self._began: float | None = None
        self._free = 0.0

    def wait(self, writes: int) -> None:
        """Wait until a commit of so many writes may be sent."""
        if not self._enabled:
            return
        now = self._clock()
        if now < self._free:
            self._sleep(self._free - now)
            now = self._clock()
        if self._began is None:
            self._began = now
        rate = FIRST_RATE * _STEP ** ((now - self._began) // _STEP_SECONDS)
        self._free = now + max(_PAUSE_SECONDS, self._writers * writes / min(rate, MAX_RATE))


def seconds_for(writes: int) -> float:
    """How long so many writes take at the allowed rate, from the first on."""
    seconds, rate, left = 0.0, FIRST_RATE, float(writes)
    while rate < MAX_RATE and left > rate * _STEP_SECONDS:
        left -= rate * _STEP_SECONDS
        seconds += _STEP_SECONDS
        rate = min(rate * _STEP, MAX_RATE)
    return seconds + left / rate
