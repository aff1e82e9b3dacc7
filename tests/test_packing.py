"""Articles as the spool packs them."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskingest.articles import Article
from daskingest.service.packing import Unreadable, pack, unpack

ARTICLES = st.lists(st.builds(Article, st.text(), st.text(), st.none() | st.text()))


@given(ARTICLES)
def test_what_was_packed_is_read(articles: list[Article]) -> None:
    assert unpack(pack(articles), len(articles)) == articles


@given(ARTICLES, st.data())
def test_what_was_cut_off_is_not(articles: list[Article], data: st.DataObject) -> None:
    packed = pack(articles)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(Unreadable):
        unpack(packed[:cut], len(articles))


@given(st.binary(max_size=40))
def test_anything_else_is_unreadable_or_articles(packed: bytes) -> None:
    try:
        found = unpack(packed, 1)
    except Unreadable:
        return
    assert isinstance(found[0].content, str)


@pytest.mark.parametrize("value", [None, 7, "text", [7], [["a", b"b", None]], [["a", "b", 3]], {}])
def test_other_values_are_unreadable(value: object) -> None:
    for packed in (value, msgpack.packb(value)):
        with pytest.raises(Unreadable):
            unpack(packed, 1)
