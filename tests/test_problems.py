"""What clients are told about errors."""

from __future__ import annotations

import json

import pytest

from daskingest.errors import DaskingestError, StoreError, UsageError
from daskingest.service.intake import Draining, KeyConflict, NotWritten, Refused, SpoolFull
from daskingest.web.problems import Problem, problem_of, unavailable


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (StoreError("the disk is gone"), 503, "the disk is gone; try again later"),
        (UsageError("no publication 'x'"), 404, "no publication 'x'"),
        (DaskingestError("no worker had time"), 503, "no worker had time"),
    ],
)
def test_errors_that_are_known(error: Exception, status: int, text: str) -> None:
    found = problem_of(error)
    assert found is not None
    assert (found.status, found.body, found.articles) == (status, {"error": text}, 0)


@pytest.mark.parametrize(
    ("refused", "status", "headers"),
    [
        (SpoolFull("full; try again later", 3), 503, {"Retry-After": "5"}),
        (NotWritten("no disk; nothing was accepted", 3), 503, {"Retry-After": "5"}),
        (Draining("shutting down", 3), 503, {"Retry-After": "10"}),
        (KeyConflict("another body", 3), 409, {}),
    ],
)
def test_refused_articles(refused: Refused, status: int, headers: dict[str, str]) -> None:
    found = problem_of(refused)
    assert found is not None
    assert (found.status, found.headers, found.body) == (status, headers, {"error": str(refused)})
    assert (found.reason, found.articles) == (refused.reason, 3)


def test_other_errors_are_not_shown() -> None:
    assert problem_of(ValueError("secret")) is None


def test_a_problem_is_itself() -> None:
    problem = Problem(422, "wrong", "wrong parameter")
    assert problem_of(problem) is problem


def test_answers() -> None:
    answer = unavailable("busy; try again", "busy", 7).response()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    rejected = [{"index": 0, "reason": "no content"}]
    answer = Problem(422, "none was accepted", "no content", rejected=rejected).response()
    assert json.loads(bytes(answer.body)) == {"error": "none was accepted", "rejected": rejected}
