"""The path prefix under which a proxy shows a service."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program import HTTP, Server, run, until
from reverse_proxy import Kind, ReverseProxy
from starlette.types import Receive, Scope, Send

from daskingest.errors import UsageError
from daskingest.web.prefix import Prefixed, prefix_in, prefix_of, root_path_of


@given(st.text("/.a~-_\\%?#:@\n <\"'", max_size=12))
@example("//evil.example")
@example("/\\evil.example")
@example("/a/../..")
@example("/./a")
def test_a_prefix_leads_to_no_other_host_and_is_no_markup(text: str) -> None:
    prefix = prefix_of(text)
    if prefix:
        assert re.fullmatch(r"(/[a.~_-]+)+", prefix)
        assert not {".", ".."} & set(prefix.split("/"))
        found = urlsplit(urljoin("http://here/x/y", f"{prefix}/publication?name=a"))
        assert (found.netloc, found.path) == ("here", f"{prefix}/publication")


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("", ""), ("/", ""), ("/news", "/news"), ("/a/b-c.d/", "/a/b-c.d"), ("/..a", "/..a")],
)
def test_prefixes(text: str, prefix: str) -> None:
    assert root_path_of(text) == prefix


@pytest.mark.parametrize("text", ["news", "//a", "/a//b", "/a b", "/é", "http://a/b", "/a" * 101])
def test_what_is_no_prefix(text: str) -> None:
    assert prefix_in({}, {"x-forwarded-prefix": text}) == ""
    with pytest.raises(UsageError, match="--root-path: expected a path such as /news"):
        root_path_of(text)


@pytest.mark.parametrize(
    ("asked", "path"),
    [("/", "/"), ("/news", "/"), ("/news/", "/"), ("/news/a", "/a"), ("/newsa", "/newsa")],
)
def test_only_the_option_takes_a_prefix_off(asked: str, path: str) -> None:
    """A header must not say which page is meant: a proxy may hide some by their paths."""
    seen: list[tuple[str, str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["path"], prefix_in(scope, {"x-forwarded-prefix": "/other"})))

    scope = {"type": "http", "path": asked}
    for each in (Prefixed(app, "/news"), app):
        asyncio.run(each(scope, None, None))  # type: ignore[arg-type]
    assert seen == [(path, "/news"), (asked, "/other")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("s"), "--root-path", "/news", "--flush-interval", "0.1")
    server.wait_until_ready()
    article = {"publication": "BBC News", "content": "Angela Merkel went to Paris."}
    HTTP.post(f"{server.url}/articles", json=article).raise_for_status()
    server.wait_until_saved()
    yield server
    assert server.stop() == 0, server.output


@pytest.mark.parametrize("strips", [True, False])
def test_a_service_behind_a_proxy(server: Server, strips: bool) -> None:
    with ReverseProxy(server.url, "/news", Kind(strips)) as proxy, httpx.Client() as http:
        found = http.get(f"{proxy.url}/publications").json()[0]
        assert found["img_uri"] == f"{proxy.url}/cloud.svg?name=bbc+news"
        assert http.get(found["img_uri"]).headers["content-type"] == "image/svg+xml"
        document = http.get(f"{proxy.url}/openapi.json").json()
        assert document["servers"] == [{"url": "/news"}]
        page = http.get(f"{proxy.url}/publications/bbc%20news/entities?limit=1").json()
        following = {"limit": 1, "after": page["next"]}
        more = http.get(f"{proxy.url}/publications/BBC News/entities", params=following).json()
        words = [each["word"] for its in (page, more) for each in its["entities"]]
        assert sorted(words) == ["angela merkel", "paris"]
        article = {"publication": "BBC News", "content": "Nothing."}
        for path in ("/articles", "/post/enqueue"):
            assert http.post(proxy.url + path, json=article).is_success
        assert http.get(f"{proxy.url}/status").json()["accepted"] >= 3
        until(lambda: "BBC News" in http.get(f"{proxy.url}/live").text)


def test_answers_that_depend_on_a_proxy_say_so(server: Server) -> None:
    """Nothing that a header brings into an answer is for others, whoever keeps answers."""
    hostile = {
        "X-Forwarded-Prefix": '//evil.example/"><script>',
        "X-Forwarded-Host": "evil.example",
    }
    for path in ("/", "/live", "/publications", "/openapi.json"):
        answer = HTTP.get(server.url + path, headers=hostile)
        assert "<script>" not in answer.text
        assert "evil.example/" not in answer.text.replace("evil.example/news", "")
        assert "X-Forwarded-Prefix" in answer.headers["vary"]
        assert answer.headers["cache-control"] == "no-cache"


def test_what_is_no_path_is_refused(tmp_path: Path) -> None:
    for command in ("serve", "explore"):
        code, output = run(tmp_path, command, "--root-path", "https://example.com/news")
        assert code == 2
        assert "--root-path: expected a path such as /news" in output
        assert "Traceback" not in output
