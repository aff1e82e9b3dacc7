"""What is said of a cluster that runs otherwise."""

from __future__ import annotations

import logging

import pytest

from daskingest.pipeline.conditions import several, tell


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    tell([])
    caplog.set_level(logging.WARNING)
    return caplog


def test_it_is_told_once_and_again_after_it_was_otherwise(
    told: pytest.LogCaptureFixture,
) -> None:
    for lines in (["a", "b"], ["a", "b"], ["b", "c"], [], ["b"]):
        tell(lines)
    assert told.messages == ["a", "b", "c", "b"]


def test_many_workers_are_few_words() -> None:
    assert several(["a"]) == "a"
    assert several(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
