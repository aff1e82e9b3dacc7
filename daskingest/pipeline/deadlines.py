"""How long a batch may take. Time comes in as an argument.

It is the processor's time that is limited: on a machine that is starved, or whose processes are
stopped, the clock's passes without a worker having worked.
"""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1 << 20
_LEAST = 0.1  # of a MiB: the time that the smallest batch has
_HANGS = 10  # times its limit: after that, what hardly works does not work at all
_HARDLY = 0.02  # of a processor
_MOST_BETWEEN = 5.0  # seconds between two looks at the clock that count


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """A batch's limit follows from its size: so many seconds for each MiB of it."""

    seconds_per_mib: float

    def seconds(self, size: int) -> float:
        """What a batch of so many bytes may take; a small one as much as a tenth of a MiB."""
        return self.seconds_per_mib * max(_LEAST, size / _MIB)


def is_over(limit: float, passed: float, used: float) -> bool:
    """Whether a task has had its limit, of the seconds since it began and the processor's of them.

    It has when its worker had the processor for so long, or hardly used it for much longer.
    """
    hangs = passed > _HANGS * limit and used < _HARDLY * passed
    return passed > limit and (used > limit or hangs)


class Clock:
    """The seconds that passed while somebody looked.

    A program that was stopped, and its machine that slept, have heard nothing of the workers
    meanwhile: of a long time between two looks only a little counts.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._first = 0.0
        self._seen: float | None = None

    def look(self, now: float) -> None:
        """It is `now`, in seconds since some time that stays the same."""
        if self._seen is not None:
            more = self.seconds + min(max(0.0, now - self._seen), _MOST_BETWEEN)
            # Sums are rounded, and must not be more than has passed since the first look.
            self.seconds = max(self.seconds, min(more, now - self._first))
        else:
            self._first = now
        self._seen = now
