"""Requests as handlers see them."""

from __future__ import annotations

import re

import pytest
from starlette.types import Message

from daskingest.web.call import Call
from daskingest.web.problems import Problem


def call(query: bytes = b"", **headers: str) -> Call:
    """A request with a query and headers."""

    async def receive() -> Message:
        raise AssertionError

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": raw}
    return Call(scope, receive)


@pytest.mark.parametrize(("query", "number"), [(b"", 7), (b"n=1", 1), (b"n=9&n=5", 5)])
def test_numbers(query: bytes, number: int) -> None:
    assert call(query).number("n", 7, 1, 9) == number


@pytest.mark.parametrize("query", [b"n=", b"n=0", b"n=10", b"n=1e0", b"n=+1", b"n=%D9%A3"])
def test_other_numbers(query: bytes) -> None:
    with pytest.raises(Problem, match="whole number from 1 to 9") as raised:
        call(query).number("n", 7, 1, 9)
    assert raised.value.status == 422


def test_texts() -> None:
    asked = call(b"q=a%00b&name=x&name=" + b"y" * 3_000)
    assert asked.text("q") == "ab"
    assert asked.text("other") == ""
    assert [len(each) for each in asked.texts("name")] == [1, 2_000]
    assert len(asked.text("name", 9)) == 9


def test_idempotency_keys() -> None:
    assert call().idempotency_key() is None
    assert call(idempotency_key="k-1").idempotency_key() == "k-1"
    for wrong in ("", "a b", "a" * 256, "é"):
        with pytest.raises(Problem, match="visible ASCII"):
            call(idempotency_key=wrong).idempotency_key()


def test_request_ids() -> None:
    assert call(x_request_id="a.b:c-1").request_id() == "a.b:c-1"
    for wrong in ("", "a b", "a" * 101, "<script>"):
        made = call(x_request_id=wrong).request_id()
        assert re.fullmatch("[0-9a-f]{16}", made)
