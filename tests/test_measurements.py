"""The measurements measure: what they return is a number of the right kind, however large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daskingest.benchmarks.driver import dispatcher_tasks_per_second, driver_tasks_per_second
from daskingest.benchmarks.peak import encoder_vs_peak, multiply_add
from daskingest.benchmarks.splitter import splitter_vs_wc
from daskingest.benchmarks.startup import startup_seconds
from daskingest.models import find_model
from daskingest.recognizer.vectors import LANES


def test_the_dispatcher_and_the_splitter(sample: Path) -> None:
    assert dispatcher_tasks_per_second(workers=3, tasks=200) > 0
    assert splitter_vs_wc(sample) > 0


def test_the_peak_is_of_additions_that_are_done() -> None:
    out = np.zeros(LANES, np.float32)
    multiply_add(3, np.float32(0.5), out)
    assert (out == 12 * (1 - 0.5**4)).all()


def test_the_encoder_and_the_peak() -> None:
    texts = ["Angela Merkel met Barack Obama in Berlin on Tuesday. " * 20] * 20
    assert encoder_vs_peak(find_model(), texts) > 0


@pytest.mark.slow
def test_the_start_and_the_driver() -> None:
    assert startup_seconds(1) > 0
    assert driver_tasks_per_second(1, 20) > 0
