"""From JSON to an article. What is wrong in detail, test_http.py has over the wire."""

from __future__ import annotations

import pytest

from daskingest.articles import Article, Unusable
from daskingest.web.parsing import MAX_ID, article_of, rejection_of, value_of


def article(**fields: object) -> Article:
    """An article of these fields, of 100 bytes at most."""
    return article_of({"content": "text", "publication": "p", **fields}, 100)


def test_an_article() -> None:
    assert article(publication="  The \n Post ") == Article("text", "The Post")
    assert article(id=5.0).id == article(id="5").id == article(id=5).id == "5"
    assert article(id=None, other=[1]).id is None
    assert article(id="a" * MAX_ID).id == "a" * MAX_ID


@pytest.mark.parametrize("content", ["a" * 100, "é" * 50, "€" * 33, "\N{GRINNING FACE}" * 25])
def test_the_limit_is_in_bytes(content: str) -> None:
    assert article(content=content).content == content
    with pytest.raises(Unusable, match="article too large: more than 100 bytes"):
        article(content=content + "é")


@pytest.mark.parametrize(
    ("ident", "reason"),
    [
        (True, "id is not text"),
        (1.5, "id is not text"),
        ([], "id is not text"),
        (2**63, "id too large"),
        (-(2**63) - 1, "id too large"),
        ("a" * (MAX_ID + 1), "id too long"),
        ("\ud800", "id is not valid Unicode"),
        ("a\0", "id holds a NUL character"),
    ],
)
def test_wrong_ids(ident: object, reason: str) -> None:
    with pytest.raises(Unusable) as raised:
        article(id=ident)
    assert raised.value.reason == reason
    assert rejection_of(raised.value)["field"] == "id"


def test_values() -> None:
    assert value_of('{"a": ["€", 1.5, null]}'.encode()) == {"a": ["€", 1.5, None]}
    for text in (b"", b"{", b"NaN", b"[1,]", b'{"a": 1, "a": 2}', b"\xff", b"[" * 100_000):
        with pytest.raises(Unusable):
            value_of(text)
