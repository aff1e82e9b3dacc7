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


@given(st.lists(st.integers(1, 30), min_size=1, max_size=200))
def test_a_history_has_all_that_came_in_ten_minutes(steps: list[int]) -> None:
    rates, now, accepted = Rates(0), 0, 0
    totals = {0: 0}
    for step in steps:
        now, accepted = now + step, accepted + step * step
        totals[now] = accepted
        rates.add(Sample(now, accepted, 0))
    history = rates.history()
    times = [min(each for each in totals if now - each <= 600), *(each.at for each in history)]
    came = sum(
        each.accepted * (each.at - before) for before, each in zip(times, history, strict=False)
    )
    assert round(came) == totals[int(times[-1])] - totals[int(times[0])]
    assert all(each.saved == 0 for each in history)
    assert now - times[-1] < 5
    assert rates.until(Sample(now, accepted, 0))[0] >= 0


def test_what_was_there_before_did_not_come() -> None:
    rates = Rates(0, articles=500)
    rates.add(Sample(10, 510, 510))
    assert [each.accepted for each in rates.history()] == [1.0]
