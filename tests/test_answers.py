"""The answers to requests, by idempotency key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daskingest.service.answers import Answer, Answers, IdempotencyKey, KeyReused
from daskingest.service.spool_file import SCHEMA
from daskingest.sqlite_file import SqliteFile

DAY = 24 * 3600.0


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[Answers]:
    with SqliteFile(tmp_path / "spool.db", SCHEMA) as file:
        yield Answers(file.connection)


def test_a_key_is_told_what_it_was_told_first(answers: Answers) -> None:
    key = IdempotencyKey("k", "digest")
    assert answers.give({"accepted": 1}, key, 1) == Answer({"accepted": 1})
    assert answers.give({"accepted": 2}, key, 2) == Answer({"accepted": 1}, repeated=True)
    with pytest.raises(KeyReused):
        answers.give({"accepted": 1}, IdempotencyKey("k", "other"), 3)
    assert answers.give({"accepted": 3}, IdempotencyKey("l", "digest"), 4) == Answer(
        {"accepted": 3}
    )


def test_without_a_key_nothing_is_kept(answers: Answers) -> None:
    for _ in range(2):
        assert answers.give({"accepted": 1}, None, 1) == Answer({"accepted": 1})


def test_answers_are_kept_for_a_day(answers: Answers) -> None:
    key = IdempotencyKey("k", "digest")
    answers.give({}, key, 1_000)
    answers.prune(1_000 + DAY)
    assert answers.give({}, key, 1_000 + DAY).repeated
    answers.prune(1_030 + DAY)  # too soon after the last time
    assert answers.give({}, key, 1_030 + DAY).repeated
    answers.prune(1_061 + DAY)
    assert not answers.give({}, key, 1_061 + DAY).repeated
