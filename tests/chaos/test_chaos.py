"""Schedules of faults, the same ones each time; `python -m tests.chaos` runs any number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from chaos.faults import Fault, Impossible, Schedule, drawn
from chaos.suite import Outcome, Suite, shrunk

SEEDS = 20
SHRINK_SECONDS = 120.0


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with closing(Suite(tmp_path_factory.mktemp("chaos") / "suite")) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_schedule_of_faults(suite: Suite, seed: int) -> None:
    try:
        outcome = suite.run(drawn(seed))
    except Impossible as why:
        pytest.skip(str(why))
    if outcome.problem:
        found = suite.shrunk(outcome, SHRINK_SECONDS)
        pytest.fail(f'python -m tests.chaos -v --schedule "{found.schedule}"\n{found}')


def test_a_schedule_is_told_by_its_seed_and_by_its_text() -> None:
    for seed in range(100):
        schedule = drawn(seed)
        assert drawn(seed) == schedule
        assert Schedule.parse(str(schedule)) == schedule


@pytest.mark.parametrize("text", ["", "kill", "kill:saver", "love:saver@0.1+0.1", "kill@x+y"])
def test_what_is_no_fault_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no fault"):
        Fault.parse(text)


def test_a_failing_schedule_is_shrunk_to_what_fails() -> None:
    """Also when it takes two faults."""
    faults = tuple(Fault("kill", f"n{i}") for i in range(9))
    needed = {faults[2], faults[7]}

    def run(schedule: Schedule) -> Outcome:
        return Outcome(schedule, "broken" if needed <= set(schedule.faults) else "")

    whole = run(Schedule("run-csv", "sqlite", 1, faults))
    assert set(shrunk(whole, run, float("inf")).schedule.faults) == needed
    assert shrunk(whole, run, 0.0) == whole
