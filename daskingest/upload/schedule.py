"""When to send: at a rate, and again after a failure."""

from __future__ import annotations

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds


class Schedule:
    """Tells when each request is due, so that articles go out evenly at `rate` a second.

    A `fixed` schedule is made in advance: what is late does not move the rest. Otherwise what is
    late moves all that follows, and nothing is made up for in a burst.
    """

    def __init__(self, rate: float | None, fixed: bool = False) -> None:
        self._rate = rate
        self._fixed = fixed
        self._next: float | None = None

    def due(self, articles: int, now: float) -> float:
        """When to send a request with so many articles; they are asked for in order."""
        if self._rate is None:
            return now
        due = now if self._next is None else self._next
        if not self._fixed:
            due = max(due, now)
        self._next = due + articles / self._rate
        return due


def backoff(tries: int, chance: float) -> float:
    """Seconds to wait after so many failures: doubled each time, up to a bound.

    `chance`, from 0 to 1, takes up to half away, lest all come back at once.
    """
    longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(tries - 1, 30))
    return longest * (1 - chance / 2)
