"""The status of the service, as in `/status`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """The articles that the store does not have, and how long the oldest of them has waited."""

    articles: int
    bytes: int
    max_bytes: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class InFlightStatus:
    """The batches that were released and are not saved yet, and their articles."""

    batches: int
    articles: int


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
