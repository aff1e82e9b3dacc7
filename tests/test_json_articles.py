"""JSON bodies: all of their articles, or none."""

from __future__ import annotations

import json

import pytest

from daskingest.web.json_articles import articles_of_json
from daskingest.web.problems import Problem

GOOD = {"content": "text", "publication": "p"}


def problem(value: object, single: bool = False) -> Problem:
    """What is wrong with a body, where articles have 100 bytes at most."""
    with pytest.raises(Problem) as raised:
        articles_of_json(json.dumps(value).encode(), 100, single)
    return raised.value


def test_one_and_many() -> None:
    [one] = articles_of_json(json.dumps(GOOD).encode(), 100)
    assert articles_of_json(json.dumps(GOOD).encode(), 100, single=True) == [one]
    assert articles_of_json(json.dumps([GOOD] * 3).encode(), 100) == [one] * 3
    assert articles_of_json(b"[]", 100) == []


def test_an_array_where_one_is_wanted() -> None:
    found = problem([GOOD], single=True)
    assert (found.status, str(found)) == (422, "expected one object, found an array")
    assert found.body["rejected"] == []
    assert "expected an object or an array of objects, found text" in str(problem("a"))


def test_each_bad_article_is_listed() -> None:
    found = problem([GOOD, {}, GOOD, {**GOOD, "content": 1}])
    assert found.status == 422
    assert found.articles == 2
    assert found.reason == "no content"
    assert str(found) == "none was accepted, because 2 of 4 can't be: article 1: no content"
    assert found.body["rejected"] == [
        {"index": 1, "field": "content", "reason": "no content", "detail": ""},
        {"index": 3, "field": "content", "reason": "content is not text", "detail": "found int"},
    ]


def test_very_many_bad_articles_are_all_counted() -> None:
    found = problem([{}] * 1_500)
    assert found.articles == 1_500
    listed = found.body["rejected"]
    assert isinstance(listed, list)
    assert len(listed) == 1_000


def test_articles_that_are_too_large() -> None:
    large = {**GOOD, "content": "é" * 51}
    assert problem(large).status == problem([GOOD, large]).status == 413
    assert problem([large, {}]).status == 422
