"""Endpoints: what they answer when a handler fails, and what they count."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest
from starlette.responses import HTMLResponse, Response

from daskingest.errors import StoreError
from daskingest.web.call import Call
from daskingest.web.endpoint import Audience, Endpoint
from daskingest.web.problems import Problem


class Series:
    """What was counted."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str, int]] = []
        self.rejects: list[tuple[str, int]] = []

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        self.answers.append((route, method, status))

    def rejected(self, reason: str, articles: int) -> None:
        self.rejects.append((reason, articles))


async def handler(call: Call) -> Response:
    """Fails as the query says."""
    match call.text("fail"):
        case "problem":
            raise Problem(422, "none was accepted", "no content", articles=1_500)
        case "store":
            raise StoreError("the disk is gone")
        case "bug":
            raise KeyError("secret")
    return Response(b"fine")


def ask(endpoint: Endpoint, url: str = "/", method: str = "GET", **headers: str) -> httpx.Response:
    """The answer to a request."""

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(endpoint)
        async with httpx.AsyncClient(transport=transport, base_url="http://there") as http:
            return await http.request(method, url, headers=headers)

    return asyncio.run(request())


@pytest.fixture
def series() -> Series:
    return Series()


def test_answers_are_counted(series: Series) -> None:
    endpoint = Endpoint(route="/r", handler=handler, methods=("GET",), recorder=series)
    assert ask(endpoint, **{"x-request-id": "mine"}).headers["x-request-id"] == "mine"
    refused = ask(endpoint, method="BREW")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
    assert refused.json() == {"error": "expected the method GET, found BREW"}
    assert series.answers == [("/r", "GET", 200), ("/r", "other", 405)]


def test_a_key_is_asked_for_after_the_method(series: Series) -> None:
    endpoint = Endpoint(route="/r", handler=handler, methods=("GET",), keys=("k",))
    assert ask(endpoint, method="POST").status_code == 405
    assert ask(endpoint).status_code == 401
    assert ask(endpoint, access_token="k").text == "fine"


def test_refused_articles_are_counted_where_articles_are_taken(series: Series) -> None:
    reads = Endpoint(route="/r", handler=handler, recorder=series)
    submits = Endpoint(route="/s", handler=handler, recorder=series, submits=True)
    assert ask(reads, "/?fail=problem").status_code == 422
    assert series.rejects == []
    for failure in ("problem", "store", "bug"):
        ask(submits, f"/?fail={failure}")
    assert series.rejects == [("no content", 1_500)]


def test_bugs_are_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = ask(Endpoint(route="/r", handler=handler), "/?fail=bug", **{"x-request-id": "7"})
    assert answer.status_code == 500
    assert answer.json() == {
        "error": "the service failed to answer this request; see its log for 7"
    }
    [record] = caplog.records
    assert record.exc_info is not None
    assert "secret" in repr(record.exc_info[1])
    assert record.__dict__["request"] == "7"


def test_people_are_told_on_a_page() -> None:
    people = Audience(lambda problem: HTMLResponse(f"<p>{problem}</p>", problem.status), True)
    endpoint = Endpoint(route="/r", handler=handler, audience=people)
    for url in ("/", "/?fail=store", "/?fail=bug"):
        answer = ask(endpoint, url)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]
    assert ask(endpoint, "/?fail=store").text == "<p>the disk is gone; try again later</p>"
