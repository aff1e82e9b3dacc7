"""Measurements of one run of an upload."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from daskingest.upload.latency import Latencies


@dataclass(slots=True)
class Measured:
    """The requests of this run, and the articles in them.

    Latencies are those of accepted requests: in an open loop from when they were due, otherwise
    from the first attempt, including the waits between attempts.
    """

    accepted: int = 0
    """Articles accepted."""
    size: int = 0
    """Bytes of their JSON, uncompressed."""
    requests: int = 0
    """All requests, including those sent again."""
    replayed: int = 0
    """Requests whose articles the service had from an earlier attempt."""
    troubles: Counter[str] = field(default_factory=Counter)
    """Requests that were temporarily not accepted, by reason."""
    late: int = 0
    """Requests of an open loop that were sent later than due."""
    latest: float = 0.0
    """The longest delay of one of them, in seconds."""
    seconds: float = 0.0
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def rates(self) -> tuple[float, float]:
        """Articles and bytes per second; 0 before any time has passed."""
        per_second = 1 / self.seconds if self.seconds else 0.0
        return self.accepted * per_second, self.size * per_second

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        articles_per_second, bytes_per_second = self.rates
        return {
            "accepted_now": self.accepted,
            "bytes": self.size,
            "seconds": self.seconds,
            "articles_per_second": articles_per_second,
            "bytes_per_second": bytes_per_second,
            "requests": self.requests,
            "replayed": self.replayed,
            "troubles": dict(self.troubles.most_common()),
            "late": self.late,
            "latest_seconds": self.latest,
            "latency_seconds": self.latencies.summary(),
        }
