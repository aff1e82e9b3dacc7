"""Numbers and words on pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskingest.web.wording import kind, meaning, number, query, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (0.0, "0.0"),
        (0.123, "0.12"),
        (1.26, "1.3"),
        (99.94, "99.9"),
        (1234.5, "1,234"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@given(st.text(), st.integers(1, 50))
def test_short_texts_are_short_and_on_one_line(text: str, most: int) -> None:
    found = short(text, most)
    assert len(found) <= most
    assert "\n" not in found
    if len(" ".join(text.split())) <= most and len(text) <= 2 * most:
        assert found == " ".join(text.split())


def test_queries() -> None:
    assert query() == query(name="", label="") == ""
    assert query(name="a b&c", first=5) == "?name=a+b%26c&amp;first=5"
    assert query(name=["a", "b"]) == "?name=a&amp;name=b"
    assert query(q='"><script>') == "?q=%22%3E%3Cscript%3E"


def test_labels() -> None:
    assert (kind("GPE"), kind("FAC"), kind("XYZ")) == ("place", "place", "other")
    assert meaning("GPE") == "countries, cities, states"
    assert meaning("XYZ") == ""
