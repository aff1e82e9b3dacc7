"""Which deaths of workers explain themselves."""

from __future__ import annotations

from daskingest.pipeline.deaths import Deaths

A, B, OTHER = "tcp://10.0.0.1:1", "tcp://10.0.0.1:2", "tcp://10.0.0.2:1"


def test_one_that_dies_by_itself_is_not_explained() -> None:
    deaths = Deaths()
    deaths.seen({A, B, OTHER}, 0.0)
    deaths.died(A, 10.0)
    deaths.seen({B, OTHER}, 10.5)
    assert not deaths.explained(A)
    deaths.seen({B}, 11.0)  # of another host
    deaths.seen(set(), 20.0)  # of this one, later
    assert not deaths.explained(A)


def test_one_that_was_told_to_go_is_explained() -> None:
    deaths = Deaths()
    deaths.seen({A}, 0.0)
    deaths.leaving(A)
    deaths.died(A, 1.0)
    assert deaths.explained(A)


def test_workers_of_a_host_that_go_together_are_explained() -> None:
    deaths = Deaths()
    deaths.seen({A, B, OTHER}, 0.0)
    deaths.died(A, 10.0)
    deaths.seen({OTHER}, 11.5)
    assert deaths.explained(A)
    assert deaths.explained(B)


def test_one_that_we_killed_explains_no_other() -> None:
    deaths = Deaths()
    deaths.seen({A, B}, 0.0)
    deaths.killed(B)
    deaths.seen({A}, 10.0)
    deaths.died(A, 10.0)
    assert deaths.was_killed(B)
    assert not deaths.explained(A)


def test_the_dead_are_forgotten_after_a_while() -> None:
    deaths = Deaths()
    deaths.seen({A}, 0.0)
    deaths.killed(A)
    deaths.leaving(A)
    deaths.seen(set(), 1.0)
    deaths.seen({A}, 100.0)  # another, at the same address
    assert not deaths.was_killed(A)
    deaths.died(A, 101.0)
    assert not deaths.explained(A)
