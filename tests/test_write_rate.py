"""How fast Firestore is written to, by a clock that the test controls."""

from __future__ import annotations

import pytest

from daskingest.stores.write_rate import FIRST_RATE, WriteRate


def test_the_rate_follows_firestore_s_rule() -> None:
    now, slept = 0.0, 0.0

    def sleep(seconds: float) -> None:
        nonlocal now, slept
        now += seconds
        slept += seconds

    rate = WriteRate(clock=lambda: now, sleep=sleep)
    for _ in range(10):
        rate.wait(1)
    assert slept == 9  # a publication's document is written once a second
    begun, writes = now, 0
    while now < begun + 280:
        rate.wait(4_000)
        writes += 4_000
    assert writes / (now - begun) <= FIRST_RATE * 1.06
    now = 2_000.0
    rate.wait(50_000)
    begun = now
    rate.wait(1)
    assert now - begun == pytest.approx(50_000 / (FIRST_RATE * 1.5**6))


def test_an_emulator_is_written_to_as_fast_as_it_goes() -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError(seconds)

    rate = WriteRate(enabled=False, clock=lambda: 0.0, sleep=sleep)
    for _ in range(3):
        rate.wait(1_000_000)
