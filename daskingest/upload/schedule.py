"""When to send: at a rate, and how long to wait after a failure."""

from __future__ import annotations

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0  # seconds


class Schedule:
    """When each request is due, so that articles are sent evenly at `rate` per second.

    A `fixed` schedule is set in advance: a late request does not delay the others. Otherwise it
    delays all that follow, and there is no burst to catch up.
    """

    def __init__(self, rate: float | None, fixed: bool = False) -> None:
        self._rate = rate
        self._fixed = fixed
        self._next: float | None = None

    def due(self, articles: int, now: float) -> float:
        """When to send the next request, which has so many articles."""
        if self._rate is None:
            return now
        due = now if self._next is None else self._next
        if not self._fixed:
            due = max(due, now)
        self._next = due + articles / self._rate
        return due


def backoff(tries: int, chance: float) -> float:
    """Seconds to wait after so many failures: doubled each time, up to a limit.

    `chance`, from 0 to 1, reduces them by up to a half, so that clients don't all return at once.
    """
    longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(tries - 1, 30))
    return longest * (1 - chance / 2)
