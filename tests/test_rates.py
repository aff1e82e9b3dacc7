"""Articles per second, over the last minute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daskingest.service.rates import Rates, Sample


def test_from_the_start_on() -> None:
    rates = Rates(now=10)
    assert rates.until(Sample(10, 0, 0)) == (0, 0)
    assert rates.until(Sample(20, 50, 10)) == (5, 1)
    rates.add(Sample(20, 50, 10))
    assert rates.until(Sample(30, 50, 20)) == (2.5, 1)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=50))
def test_no_more_than_a_minute_counts(steps: list[int]) -> None:
    rates, now, accepted = Rates(0), 0, 0
    history = [(0, 0)]
    for step in steps:
        now, accepted = now + step, accepted + step * step
        rates.add(Sample(now, accepted, 0))
        history.append((now, accepted))
    at, then = next((at, count) for at, count in history if now - at <= 60)
    wanted = (accepted - then) / (now - at) if now > at else 0
    assert rates.until(Sample(now, accepted, 0)) == (wanted, 0)
