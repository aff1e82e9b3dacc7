"""Articles per second, over the last minute."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_SECONDS = 60.0


class Sample(NamedTuple):
    """How many articles were accepted and saved in total, at a time in seconds."""

    at: float
    accepted: int
    saved: int


class Rates:
    """Articles per second, from samples taken every few seconds."""

    def __init__(self, now: float) -> None:
        self._samples = deque([Sample(now, 0, 0)])

    def add(self, sample: Sample) -> None:
        """Add a sample, and drop those older than a minute."""
        self._samples.append(sample)
        while sample.at - self._samples[0].at > _SECONDS:
            self._samples.popleft()

    def until(self, now: Sample) -> tuple[float, float]:
        """Articles accepted and saved per second, from the oldest sample until now."""
        then = self._samples[0]
        seconds = max(now.at - then.at, 1e-3)
        return (now.accepted - then.accepted) / seconds, (now.saved - then.saved) / seconds
