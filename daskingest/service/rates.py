"""How many articles a second, over the last minute."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_SECONDS = 60.0


class Sample(NamedTuple):
    """How many articles were accepted and saved in all, at a time in seconds."""

    at: float
    accepted: int
    saved: int


class Rates:
    """Articles a second, from samples taken every now and then."""

    def __init__(self, now: float) -> None:
        self._samples = deque([Sample(now, 0, 0)])

    def add(self, sample: Sample) -> None:
        """Note how far it is; what is older than a minute is of no interest any more."""
        self._samples.append(sample)
        while sample.at - self._samples[0].at > _SECONDS:
            self._samples.popleft()

    def until(self, now: Sample) -> tuple[float, float]:
        """Articles accepted and saved per second up to now, since the oldest sample."""
        then = self._samples[0]
        seconds = max(now.at - then.at, 1e-3)
        return (now.accepted - then.accepted) / seconds, (now.saved - then.saved) / seconds
