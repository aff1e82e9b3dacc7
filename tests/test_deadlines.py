"""How long a batch may take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskingest.pipeline.deadlines import Clock, TimeLimit, is_over


def test_a_limit_grows_with_the_batch_and_is_never_tiny() -> None:
    limit = TimeLimit(300.0)
    assert limit.seconds(1 << 20) == 300.0
    assert limit.seconds(2 << 20) == 600.0
    assert limit.seconds(0) == limit.seconds(1000) == pytest.approx(30.0)


def test_it_is_the_processor_s_time_that_is_limited() -> None:
    assert not is_over(30.0, passed=30.0, used=40.0)
    assert not is_over(30.0, passed=1400.0, used=29.0)
    assert is_over(30.0, passed=31.0, used=30.5)


def test_what_hardly_works_has_ten_times_as_long() -> None:
    assert not is_over(30.0, passed=300.0, used=0.0)
    assert not is_over(30.0, passed=301.0, used=7.0)
    assert is_over(30.0, passed=301.0, used=5.0)


def test_a_gap_counts_as_little() -> None:
    clock = Clock()
    clock.look(100.0)
    assert clock.seconds == 0.0
    clock.look(101.0)
    assert clock.seconds == 1.0
    clock.look(9000.0)
    assert clock.seconds == 6.0
    clock.look(8000.0)
    assert clock.seconds == 6.0


@given(st.lists(st.floats(0.0, 1e9)))
def test_it_never_goes_back_and_never_faster_than_time(looks: list[float]) -> None:
    clock = Clock()
    before = 0.0
    for now in sorted(looks):
        clock.look(now)
        assert before <= clock.seconds <= now
        before = clock.seconds
