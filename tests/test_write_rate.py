"""How fast Firestore is written to, by a clock that the test controls."""

from __future__ import annotations

import pytest

from daskingest.stores.write_rate import FIRST_RATE, MAX_RATE, WriteRate, seconds_for


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


def test_how_long_it_takes_is_what_the_rate_makes_it_take() -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    rate = WriteRate(clock=lambda: now, sleep=sleep)
    writes = 0
    for goal in (100_000, 1_000_000, 8_000_000):
        while writes < goal:
            rate.wait(10_000)
            writes += 10_000
        rate.wait(1)  # waits for the last ones
        assert seconds_for(writes) == pytest.approx(now, rel=0.02)
    assert seconds_for(500) == 1.0
    assert seconds_for(10**9) - seconds_for(10**9 - 10**6) == pytest.approx(10**6 / MAX_RATE)


def test_several_writers_share_the_rate() -> None:
    slept: list[float] = []
    rate = WriteRate(clock=lambda: sum(slept), sleep=slept.append, writers=4)
    rate.wait(1000)
    rate.wait(1)
    assert slept == [4 * 1000 / FIRST_RATE]
