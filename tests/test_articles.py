from __future__ import annotations

import pytest

from daskingest.articles import Article, Columns, Unusable, article_from, publication_key
from daskingest.errors import UsageError

COLUMNS = Columns("content", "source")


def test_columns_are_found_by_name() -> None:
    assert Columns.find(["id", "Article", "Publication"]) == Columns("Article", "Publication")
    assert Columns.find(["text", "content", "source"]) == Columns("content", "source")
    assert Columns.find(["a", "b"], "b", "a") == Columns("b", "a")


def test_missing_columns_name_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"'article', 'content' or 'text', found the columns 'a'"):
        Columns.find(["a"])
    with pytest.raises(UsageError, match="expected 'body', found the columns 'text'"):
        Columns.find(["text"], content="body")


def test_an_article_has_content_and_publication() -> None:
    assert article_from({"content": " a\n", "source": " The\tPost ", "id": 7}, COLUMNS) == Article(
        " a\n", "The Post", "7"
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({}, "no content"),
        ({"content": " \n", "source": "P"}, "no content"),
        ({"content": "a"}, "no publication"),
        ({"content": "a", "source": ""}, "no publication"),
        ({"content": 5, "source": "P"}, "content is not text"),
        ({"content": "a", "source": ["P"]}, "publication is not text"),
        ({"content": "a\ud800", "source": "P"}, "content is not valid Unicode"),
        ({"content": "a", "source": "x" * 1001}, "publication too long"),
        ({"content": "a\0b", "source": "P"}, "content holds a NUL character"),
        ({"content": "a", "source": "P\0"}, "publication holds a NUL character"),
    ],
)
def test_what_is_no_article(raw: dict[str, object], reason: str) -> None:
    with pytest.raises(Unusable) as caught:
        article_from(raw, COLUMNS)
    assert caught.value.reason == reason


def test_names_that_look_the_same_are_the_same() -> None:
    composed, decomposed = "Süddeutsche Zeitung", "Su\u0308ddeutsche Zeitung"
    assert publication_key(decomposed) == publication_key(composed) == "süddeutsche zeitung"
    article = article_from({"content": decomposed, "source": decomposed}, COLUMNS)
    assert (article.content, article.publication) == (decomposed, composed)


def test_publication_keys_fold_space_and_case() -> None:
    assert publication_key(" The  NEW\nYork Times") == "the new york times"
