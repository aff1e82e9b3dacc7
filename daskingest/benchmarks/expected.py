"""How long a file of 8 GB would take on 16 cores, computed from what was measured here."""

from __future__ import annotations

from collections.abc import Mapping

SIZE, CORES = 8_000_000_000, 16
_BATCH = 1 << 20


def expected(
    bytes_per_second: float, workers: int, figures: Mapping[str, float]
) -> dict[str, float]:
    """The seconds of each part, if it were the only one that takes any, and of all.

    A worker is as fast as one of `workers` that together took so many bytes a second here. Driver
    and saver are one process each, whatever the number of cores, and as fast as `figures` say. All
    of them work at the same time, so the slowest one decides; start-up comes before it.
    """
    batches = SIZE / _BATCH
    parts = {
        "extraction_seconds": SIZE / (bytes_per_second / workers * CORES),
        "driver_seconds": batches / figures["driver_tasks_per_second"],
        "saver_seconds": batches / figures["saver_batches_per_cpu_second"],
    }
    whole = figures["startup_seconds"] + max(parts.values())
    return {name: round(each, 1) for name, each in (parts | {"seconds": whole}).items()}
