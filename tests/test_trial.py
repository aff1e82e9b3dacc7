"""Texts to try: out of a form, and cut at their entities."""

from __future__ import annotations

from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from daskingest.web.pages.trial import pieces_of, text_in

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"))


@given(TEXTS)
def test_a_form_s_text(text: str) -> None:
    assert text_in(urlencode({"text": text, "other": "x"}).encode()) == text


def test_strange_forms() -> None:
    assert text_in(b"") == text_in(b"other=1") == ""
    assert text_in(b"text=a%0D%0Ab%00&text=c") == "a\nb"
    assert text_in(b"text=%ff%zz") == "\ufffd%zz"


@given(TEXTS, st.data())
def test_pieces_are_the_text(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    found = [(start, end, "ORG") for start, end in zip(cuts[::2], cuts[1::2], strict=False)]
    pieces = pieces_of(text, found)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, label in pieces if label] == [text[a:b] for a, b, _ in found]
