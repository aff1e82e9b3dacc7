"""Searches for affixes are spared only where they would find nothing."""

from __future__ import annotations

import functools
import re
import string

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokenizer import Tokenizer

from daskingest.recognizer.affixes import needs_other, spared

LETTERS = st.text(string.ascii_letters, min_size=1)
TEXTS = st.one_of(
    LETTERS, st.text(string.ascii_letters + ".,'\"-0km$\u017fK", min_size=1), st.text()
)


@functools.cache
def tokenizer_of(language: str) -> Tokenizer:
    return spacy.blank(language).tokenizer


@pytest.mark.parametrize(
    "pattern",
    [
        r"\.",
        r"km\.|\d+x",
        r"(?<=[0-9])(?:km|m)",
        r"[^\W\d]?[.,;]",
        r"a(?=-)",
        r"(?:b-)+",
        "é",
        r"[0-9\s]",
    ],
)
@given(LETTERS)
def test_a_pattern_that_needs_another_character(pattern: str, text: str) -> None:
    compiled = re.compile(pattern)
    assert needs_other(compiled)
    assert not compiled.search(text)


@pytest.mark.parametrize(
    "pattern",
    [
        "a",
        r"\.|s$",
        r"\w",
        r"[^.]",
        ".",
        r"(?:\.)*",
        "",
        r"(?<!\.)$",
        "(?i)\u017f",
        "(?i:\u017f)",
        r"[A-z]",
        r"\D",
        r"a(?!-)",
    ],
)
def test_a_pattern_that_may_match_letters(pattern: str) -> None:
    assert not needs_other(re.compile(pattern))


@pytest.mark.parametrize("language", ["en", "de", "fr", "fi"])
@given(st.data())
def test_the_same_is_found(language: str, data: st.DataObject) -> None:
    tokenizer = tokenizer_of(language)
    text = data.draw(TEXTS)
    for search in (tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.url_match):
        quick = spared(search, None)
        assert quick is not None
        assert _span(quick(text)) == _span(search(text))
    infixes = spared(tokenizer.infix_finditer, ())
    assert infixes is not None
    assert [*map(_span, infixes(text))] == [*map(_span, tokenizer.infix_finditer(text))]


def _span(match: re.Match[str] | None) -> tuple[int, int] | None:
    return match.span() if match else None


def test_what_is_no_pattern_is_left_alone() -> None:
    def search(text: str) -> None: ...

    assert spared(search, None) is search
    assert spared(None, None) is None


def test_english_is_spared_most() -> None:
    tokenizer = tokenizer_of("en")
    searches = (tokenizer.prefix_search, tokenizer.suffix_search, tokenizer.infix_finditer)
    assert all(needs_other(search.__self__) for search in searches)
