"""The status of the service, as in `/status`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """The articles that the store does not have, and how long the oldest of them has waited.

    `bytes` has those of remembered idempotency keys too. `damaged` are articles that could not be
    read, and were set aside: see the log.
    """

    articles: int
    bytes: int
    max_bytes: int
    oldest_seconds: float | None
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class InFlightStatus:
    """The batches that were released and are not saved, and their articles.

    `late` are those that have taken half of the time they may, and for how many seconds.
    """

    batches: int
    articles: int
    late: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RatesStatus:
    """Articles per second, over the last minute."""

    accepted_per_second: float
    saved_per_second: float


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker's memory, and how often it was replaced."""

    memory_bytes: int
    restarts: int


@dataclass(frozen=True, slots=True)
class Status:
    """The status. Numbers of articles are since the start, except in the spool and in flight.

    The fields are those of the JSON object, in its order.
    """

    version: str
    state: Literal["serving", "draining"]
    trouble: str
    accepted: int
    duplicate: int
    rejected: dict[str, int]
    saved: int
    spool: SpoolStatus
    in_flight: InFlightStatus
    rates: RatesStatus
    workers: dict[str, WorkerStatus]
    dashboard: str

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `/status` answers."""
        return dataclasses.asdict(self)
