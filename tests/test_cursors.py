"""Cursors: they come back as they were, and nothing else is one."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daskingest.web.cursors import MAX_COUNT, from_cursor, to_cursor
from daskingest.web.problems import Problem

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.integers(-MAX_COUNT, MAX_COUNT), TEXTS)
def test_there_and_back(count: int, word: str) -> None:
    cursor = to_cursor(count, word)
    assert cursor.replace("-", "a").replace("_", "a").isalnum()
    assert from_cursor(cursor) == (count, word)


@given(st.text())
@example("")
@example("x")
@example("=")
@example("\N{GRINNING FACE}")
def test_other_texts(cursor: str) -> None:
    with pytest.raises(Problem) as raised:
        from_cursor(cursor)
    assert raised.value.status == 404


@pytest.mark.parametrize(
    "json",
    [
        "null",
        "1",
        "[1]",
        '["a", 1]',
        '[1.5, "a"]',
        '[true, "a"]',
        f'[{MAX_COUNT + 1}, "a"]',
        '[1, "\\ud800"]',
        "[" * 100_000,
    ],
)
def test_other_values(json: str) -> None:
    with pytest.raises(Problem):
        from_cursor(urlsafe_b64encode(json.encode()).decode())
