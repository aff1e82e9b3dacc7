"""Capital letters as bits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskingest.spelling import spelled, spelling_of


@pytest.mark.parametrize(
    "name", ["NASA", "the United States", "iPhone", "École", "ΟΔΟΣ", "日本", "McDonald's", "a"]
)
def test_names_are_spelled_as_they_were(name: str) -> None:
    assert spelled(name.lower(), spelling_of(name, name.lower())) == name


@given(st.text(st.characters(codec="ascii")))
def test_capitals_of_ascii_are_its_bits(name: str) -> None:
    bits = sum(letter.isupper() << at for at, letter in enumerate(name[:63]))
    assert spelling_of(name, name.lower()) == bits


@given(st.text())
def test_any_text_keeps_its_word(name: str) -> None:
    """Each letter is as it was written, or in lower case; none is another one."""
    word = name.lower()
    bits = spelling_of(name, word)
    assert 0 <= bits < 1 << 63
    shown = spelled(word, bits)
    assert len(shown) == len(word)
    assert all(one in (a, b) for one, a, b in zip(shown, word, name, strict=False)) or not bits


def test_a_long_name_is_spelled_as_far_as_there_are_bits() -> None:
    name = "A" * 100
    assert spelled(name.lower(), spelling_of(name, name.lower())) == "A" * 63 + "a" * 37
