"""What was measured in one run of an upload."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from daskingest.upload.latency import Latencies


@dataclass(slots=True)
class Measured:
    """Requests and the articles in them, of this run alone.

    Latencies are of requests that were taken: in an open loop from when they were due, otherwise
    from their first try, with the waiting between tries.
    """

    accepted: int = 0
    """Articles."""
    size: int = 0
    """Bytes of their JSON, unpacked."""
    requests: int = 0
    """All, those that were sent again too."""
    replayed: int = 0
    """Requests whose articles the service had from an earlier try."""
    troubles: Counter[str] = field(default_factory=Counter)
    """Requests that were not taken for the time, by what came instead."""
    late: int = 0
    """Requests of an open loop that were not sent when they were due."""
    latest: float = 0.0
    """The most that one of them was late, in seconds."""
    seconds: float = 0.0
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def rates(self) -> tuple[float, float]:
        """Articles and bytes a second; nothing before there is time to measure by."""
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
