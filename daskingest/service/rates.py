"""Articles per second, over the last minute, and from moment to moment over the last minutes."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_SECONDS = 60.0
_STEP = 5.0  # seconds, at least, of one rate in the history

HISTORY_SECONDS = 600.0
"""How long ago a history begins."""


class Sample(NamedTuple):
    """How many articles were accepted and saved in total, at a time in seconds."""

    at: float
    accepted: int
    saved: int


class Rate(NamedTuple):
    """Articles accepted and saved per second, in some seconds that ended at a time."""

    at: float
    accepted: float
    saved: float


class Rates:
    """Articles per second, from samples taken every few seconds."""

    def __init__(self, now: float, articles: int = 0) -> None:
        self._samples = deque([Sample(now, articles, articles)])

    def add(self, sample: Sample) -> None:
        """Add a sample, and drop those older than a history."""
        self._samples.append(sample)
        while sample.at - self._samples[0].at > HISTORY_SECONDS:
            self._samples.popleft()

    def until(self, now: Sample) -> tuple[float, float]:
        """Articles accepted and saved per second, from a minute ago until now."""
        last = self._samples[-1].at
        then = next(each for each in self._samples if last - each.at <= _SECONDS)
        rate = _between(then, now)
        return rate.accepted, rate.saved

    def history(self) -> list[Rate]:
        """The rates of the last minutes, for every five seconds or so, the oldest first."""
        found, then = [], self._samples[0]
        for each in self._samples:
            if each.at - then.at >= _STEP:
                found.append(_between(then, each))
                then = each
        return found


def _between(then: Sample, now: Sample) -> Rate:
    seconds = max(now.at - then.at, 1e-3)
    accepted, saved = now.accepted - then.accepted, now.saved - then.saved
    return Rate(now.at, accepted / seconds, saved / seconds)
