"""How long requests took, in a bounded amount of memory."""

from __future__ import annotations

import math
from collections import Counter

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
_STEP = math.log(1.01)
_LEAST = 1e-6  # seconds


class Latencies:
    """Counts durations in classes that are one per cent wide; percentiles are as precise as that.

    The longest is kept exactly.
    """

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0
        self._classes: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.count += 1
        self.longest = max(self.longest, seconds)
        self._classes[math.floor(math.log(max(seconds, _LEAST)) / _STEP)] += 1

    def percentile(self, share: float) -> float:
        """The shortest duration, in seconds, that this share of requests did not exceed."""
        wanted, found = math.ceil(share * self.count), 0
        for each in sorted(self._classes):
            found += self._classes[each]
            if found >= wanted:
                return min(math.exp((each + 1) * _STEP), self.longest)
        return self.longest

    def summary(self) -> dict[str, float]:
        """The percentiles by name, and the maximum."""
        return {
            **{name: self.percentile(each) for name, each in SHARES.items()},
            "max": self.longest,
        }
