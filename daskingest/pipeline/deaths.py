"""Whether the death of a worker explains itself without the batch that it was at."""

from __future__ import annotations

from collections.abc import Collection

TOGETHER_SECONDS = 2.0
"""Workers of one host that go within so many seconds go for the same reason: the host's."""

_REMEMBERED_SECONDS = 60.0


class Deaths:
    """The workers that went, by address. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._there: set[str] = set()
        self._gone: dict[str, float] = {}
        self._leaving: set[str] = set()
        self._killed: set[str] = set()

    def seen(self, workers: Collection[str], now: float) -> None:
        """These are there now, whatever they are for."""
        for each in self._there - set(workers):
            self._gone.setdefault(each, now)
        self._there = set(workers)
        past = {each for each, at in self._gone.items() if now - at > _REMEMBERED_SECONDS}
        for each in past:
            del self._gone[each]
        self._leaving -= past
        self._killed -= past

    def died(self, worker: str, now: float) -> None:
        """This one is not there any more."""
        self._there.discard(worker)
        self._gone.setdefault(worker, now)

    def leaving(self, worker: str) -> None:
        """It was told to go."""
        self._leaving.add(worker)

    def killed(self, worker: str) -> None:
        """It is killed for a batch that took too long: that is a reason of its own."""
        self._killed.add(worker)

    def was_killed(self, worker: str) -> bool:
        """Whether its death is ours."""
        return worker in self._killed

    def explained(self, worker: str) -> bool:
        """Whether this one, that is gone, would have gone whatever it was at."""
        if worker in self._leaving:
            return True
        at, host = self._gone[worker], _host(worker)
        return any(
            each != worker and _host(each) == host and abs(when - at) <= TOGETHER_SECONDS
            for each, when in self._gone.items()
            if each not in self._killed
        )


def _host(address: str) -> str:
    return address.rpartition(":")[0]
