"""The keys of requests."""

from __future__ import annotations

from base64 import b64encode

import pytest

from daskingest.web.keys import require_key
from daskingest.web.problems import Problem

KEYS = ("first", "second")


def basic(user: str, password: str) -> dict[str, str]:
    """HTTP Basic's header."""
    return {"authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first"},
        {"authorization": "bearer  second "},
        {"access_token": "second"},
        basic("anybody", "first"),
        basic("", "second"),
    ],
)
def test_keys_that_are_known(headers: dict[str, str]) -> None:
    require_key(headers, KEYS)


@pytest.mark.parametrize(
    ("headers", "seen"),
    [
        ({}, "none"),
        ({"authorization": "Bearer"}, "none"),
        ({"authorization": "Digest first"}, "none"),
        ({"authorization": "Basic !!!"}, "none"),
        ({"authorization": "Basic " + b64encode(b"first").decode()}, "none"),
        ({"authorization": "Bearer FIRST"}, "another"),
        ({"authorization": "Bearer first,second"}, "another"),
        ({"access_token": "fir\xe9t"}, "another"),
        ({"authorization": "Basic " + b64encode(b"a:\xff").decode()}, "another"),
    ],
)
def test_keys_that_are_not(headers: dict[str, str], seen: str) -> None:
    with pytest.raises(Problem, match=f"found {seen}") as raised:
        require_key(headers, KEYS)
    assert raised.value.status == 401
    assert raised.value.headers["WWW-Authenticate"].startswith("Basic ")


def test_without_keys_everybody_may_ask() -> None:
    require_key({}, ())
