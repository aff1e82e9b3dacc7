"""The measurements measure: what they return is a number of the right kind, however large."""

from __future__ import annotations

from pathlib import Path

import pytest

from daskingest.benchmarks.driver import dispatcher_tasks_per_second, driver_tasks_per_second
from daskingest.benchmarks.splitter import splitter_vs_wc
from daskingest.benchmarks.startup import startup_seconds


def test_the_dispatcher_and_the_splitter(sample: Path) -> None:
    assert dispatcher_tasks_per_second(workers=3, tasks=200) > 0
    assert splitter_vs_wc(sample) > 0


@pytest.mark.slow
def test_the_start_and_the_driver() -> None:
    assert startup_seconds(1) > 0
    assert driver_tasks_per_second(1, 20) > 0
