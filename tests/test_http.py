"""What the service answers, to the right requests and to the wrong ones."""

from __future__ import annotations

import gzip
import json
import re
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from program import Server, content
from schemathesis.core.result import Ok

from daskingest.web.openapi import WHITE_SPACE

KEY = {"Authorization": "Bearer secret"}
LINES = {**KEY, "Content-Type": "application/x-ndjson"}
GOOD = {"content": "Angela Merkel met Barack Obama in Berlin.", "publication": "The Post"}
JSON = {**KEY, "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("http")
    options = ["--max-body-bytes", "1000000", "--max-article-bytes", "100000"]
    options += ["--flush-interval", "0.2", "--max-upload-bytes", "20000000"]
    options += ["--allow-origin", "https://example.com"]
    server = Server(folder, *options, DASKINGEST_API_KEY="secret")
    server.wait_until_ready()
    yield server
    server.kill()


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def body(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def nested(depth: int) -> bytes:
    return b'{"content": ' + b"[" * depth + b"]" * depth + b"}"


BOMB = gzip.compress(b" " * 50_000_000)

WRONG: dict[str, tuple[dict[str, str], bytes, int, str]] = {
    "no key": ({"Content-Type": "application/json"}, body(), 401, "expected a key, found none"),
    "wrong key": ({**JSON, "Authorization": "Bearer x"}, body(), 401, "found another"),
    "key of another scheme": ({**JSON, "Authorization": "Digest secret"}, body(), 401, "none"),
    "empty key": ({**JSON, "Authorization": "Bearer"}, body(), 401, "none"),
    "key in latin-1": ({**JSON, "Authorization": "Bearer s\xe9cret"}, body(), 401, "another"),
    "broken basic": ({**JSON, "Authorization": "Basic !!!"}, body(), 401, "none"),
    "no type": (KEY, body(), 415, "found ''"),
    "text": ({**JSON, "Content-Type": "text/plain"}, body(), 415, "text/plain"),
    "a form": (
        {**JSON, "Content-Type": "application/x-www-form-urlencoded"},
        b"content=a&publication=b",
        415,
        "application/x-ndjson",
    ),
    "latin-1": (
        {**JSON, "Content-Type": "application/json; charset=latin-1"},
        body(),
        415,
        "expected UTF-8",
    ),
    "deflate": ({**JSON, "Content-Encoding": "deflate"}, body(), 415, "deflate"),
    "two encodings": ({**JSON, "Content-Encoding": "gzip, gzip"}, body(), 415, "gzip, gzip"),
    "no gzip": ({**JSON, "Content-Encoding": "gzip"}, body(), 400, "not gzip"),
    "half a gzip": (
        {**JSON, "Content-Encoding": "gzip"},
        gzip.compress(body() * 99)[:-9],
        400,
        "cut off",
    ),
    "gzip and more": (
        {**JSON, "Content-Encoding": "gzip"},
        gzip.compress(body()) + b"more",
        400,
        "not gzip",
    ),
    "empty gzip": ({**JSON, "Content-Encoding": "gzip"}, b"", 400, "cut off"),
    "a bomb": ({**JSON, "Content-Encoding": "gzip"}, BOMB, 413, "at most 1,000,000 bytes"),
    "a bomb of lines": (
        {**LINES, "Content-Encoding": "gzip"},
        BOMB,
        413,
        "at most 20,000,000 bytes",
    ),
    "a large body": (JSON, b" " * 1_000_001, 413, "at most 1,000,000 bytes"),
    "a large article": (JSON, body(content="a " * 60_000), 413, "article too large"),
    "large among others": (
        JSON,
        b"[" + body() + b"," + body(content="a " * 60_000) + b"]",
        413,
        "article 1: article too large",
    ),
    "nothing": (JSON, b"", 400, "not JSON"),
    "white space": (JSON, b" \n ", 400, "not JSON"),
    "no JSON": (JSON, b"{content: 1}", 400, "character 1"),
    "half": (JSON, body()[:-5], 400, "not JSON"),
    "two values": (JSON, body() + body(), 400, "Extra data"),
    "a comma too many": (JSON, b"[" + body() + b",]", 400, "not JSON"),
    "single quotes": (JSON, b"{'content': 'a'}", 400, "not JSON"),
    "not UTF-8": (JSON, body(content="a").replace(b'"a"', b'"\xff"'), 400, "not UTF-8"),
    "UTF-16": (JSON, body().decode().encode("utf-16"), 400, "not UTF-8"),
    "a byte order mark": (JSON, b"\xef\xbb\xbf" + body(), 400, "BOM"),
    "a raw NUL": (JSON, body(content="x").replace(b'"x"', b'"\0"'), 400, "control character"),
    "NaN": (JSON, b'{"content": NaN}', 400, "NaN is not a JSON number"),
    "Infinity": (JSON, b'{"content": -Infinity}', 400, "-Infinity"),
    "a number of many digits": (JSON, b'{"id": ' + b"9" * 5000 + b"}", 400, "too many digits"),
    "nested deeply": (JSON, nested(100_000), 400, "nested too deeply"),
    "a field twice": (JSON, b'{"content": "a", "content": "b"}', 400, "a field twice"),
    "a number": (JSON, b"1", 422, "found a number"),
    "text in JSON": (JSON, b'"a"', 422, "found text"),
    "null": (JSON, b"null", 422, "found null"),
    "true": (JSON, b"true", 422, "found true or false"),
    "an array of text": (JSON, b'["a"]', 422, "article 0: not an object (found text)"),
    "an array in an array": (JSON, b"[[]]", 422, "found an array"),
    "no fields": (JSON, b"{}", 422, "no content"),
    "no publication": (JSON, b'{"content": "a"}', 422, "no publication"),
    "no content": (JSON, b'{"publication": "a"}', 422, "no content"),
    "empty content": (JSON, body(content=""), 422, "no content"),
    "white content": (JSON, body(content=" \n\t\u2028"), 422, "no content"),
    "empty publication": (JSON, body(publication="  "), 422, "no publication"),
    "content null": (JSON, body(content=None), 422, "no content"),
    "content a number": (JSON, body(content=5), 422, "content is not text (found int)"),
    "content an object": (JSON, body(content={}), 422, "content is not text"),
    "publication an array": (JSON, body(publication=["a"]), 422, "publication is not text"),
    "publication too long": (JSON, body(publication="a" * 1001), 422, "publication too long"),
    "id an object": (JSON, body(id={}), 422, "id is not text (found an object)"),
    "id true": (JSON, body(id=True), 422, "id is not text"),
    "id too long": (JSON, body(id="a" * 201), 422, "id too long"),
    "a lone surrogate": (JSON, body(content="\ud800"), 422, "not valid Unicode"),
    "surrogates swapped": (JSON, body(publication="\udc00\ud800"), 422, "not valid Unicode"),
    "a surrogate in the id": (JSON, body(id="\udfff"), 422, "id is not valid Unicode"),
    "NUL in content": (JSON, body(content="a\0b"), 422, "content holds a NUL"),
    "NUL in publication": (JSON, body(publication="a\0"), 422, "publication holds a NUL"),
    "one bad of many": (
        JSON,
        b"[" + body() + b"," + body(content="") + b"," + body() + b"]",
        422,
        "1 of 3 can't be: article 1",
    ),
    "an idempotency key with a space": (
        {**JSON, "Idempotency-Key": "a b"},
        body(),
        400,
        "visible ASCII",
    ),
    "a long idempotency key": ({**JSON, "Idempotency-Key": "a" * 256}, body(), 400, "256"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_submissions(http: httpx.Client, name: str) -> None:
    headers, data, status, text = WRONG[name]
    raw = {key.encode(): value.encode("latin-1") for key, value in headers.items()}
    before = http.get("/status", headers=KEY).json()
    answer = http.post("/articles", content=data, headers=raw)
    assert (answer.status_code, text) == (
        status,
        text if text in answer.json()["error"] else answer.text,
    )
    assert answer.headers["x-request-id"]
    after = http.get("/status", headers=KEY).json()
    assert after["accepted"] == before["accepted"]
    assert sum(after["rejected"].values()) > sum(before["rejected"].values())


def test_all_bad_articles_are_listed(http: httpx.Client) -> None:
    articles = [GOOD, {"content": 1, "publication": "p"}, GOOD, {"content": "a"}, []]
    answer = http.post("/articles", json=articles, headers=KEY)
    assert answer.status_code == 422
    assert answer.json()["rejected"] == [
        {"index": 1, "field": "content", "reason": "content is not text", "detail": "found int"},
        {"index": 3, "field": "publication", "reason": "no publication", "detail": ""},
        {"index": 4, "field": None, "reason": "not an object", "detail": "found an array"},
    ]


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/articles", 405, "expected the method POST, found GET"),
        ("PUT", "/articles", 405, "found PUT"),
        ("DELETE", "/publications", 405, "found DELETE"),
        ("POST", "/status", 405, "found POST"),
        ("PATCH", "/articles", 405, "found PATCH"),
        ("GET", "/nothing", 404, "/openapi.json lists"),
        ("GET", "/articles/", 404, "nothing at"),
        ("GET", "/publications/nobody/entities", 404, "no publication 'nobody'"),
        ("GET", "/publications/a%0Ab/entities", 404, "no publication 'a b'"),
        ("GET", "/publications/p/entities?limit=0", 422, "from 1 to 1000, found '0'"),
        ("GET", "/publications/p/entities?limit=x", 422, "whole number"),
        ("GET", "/publications/p/entities?limit=%D9%A3", 422, "whole number"),
        ("GET", "/publications/p/entities?after=x", 404, "expected after to be"),
        ("GET", "/publications/p/entities?after=%F0%9F%98%80", 404, "expected after to be"),
        ("GET", "/publications/p/entities?after=WzEsMl0", 404, "expected after to be"),
        ("GET", "/frequencies/p?word=a", 422, "both word and count"),
        ("GET", "/frequencies/p?count=1", 422, "both word and count"),
        ("GET", "/frequencies/p?word=a&count=1e9", 422, "whole number"),
        ("GET", f"/frequencies/p?word=a&count={'9' * 30}", 422, "whole number"),
    ],
)
def test_wrong_requests(http: httpx.Client, method: str, path: str, status: int, text: str) -> None:
    answer = http.request(method, path, headers=KEY)
    assert answer.status_code == status
    assert text in answer.json()["error"]


def raw(server: Server, request: bytes, wait: bool = True) -> bytes:
    """What is answered to some bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(request)
        if not wait:
            return b""
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


POST = b"POST /articles HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n"
POST += b"Content-Type: application/json\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        POST + b"Content-Length: abc\r\n\r\n" + body(),
        POST + b"Content-Length: -5\r\n\r\n" + body(),
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + body(),
        POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + body(),
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + body(),
    ],
)
def test_broken_http(server: Server, request_bytes: bytes) -> None:
    assert raw(server, request_bytes).startswith(b"HTTP/1.1 400")
    assert server.answers("/healthz")


def test_bodies_that_end_early_are_not_taken(server: Server, http: httpx.Client) -> None:
    before = http.get("/status", headers=KEY).json()["accepted"]
    raw(server, POST + b"Content-Length: 1000\r\n\r\n" + body(), wait=False)
    lines = POST.replace(b"json", b"x-ndjson") + b"Content-Length: 9000000\r\n\r\n"
    raw(server, lines + (body() + b"\n") * 9000, wait=False)
    deadline = time.monotonic() + 30
    while http.get("/status", headers=KEY).json()["spool"]["articles"]:
        assert time.monotonic() < deadline
    assert http.get("/status", headers=KEY).json()["accepted"] == before


def test_chunked_and_gzipped_bodies(http: httpx.Client) -> None:
    def parts() -> Iterator[bytes]:
        for byte in body():
            yield bytes([byte])

    assert http.post("/articles", content=parts(), headers=JSON).json() == {"accepted": 1}
    packed = gzip.compress(body()[:20]) + gzip.compress(body()[20:])
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert http.post("/articles", content=packed, headers=headers).json() == {"accepted": 1}
    assert http.post("/articles", json=[], headers=KEY).json() == {"accepted": 0}


def test_a_slow_client_keeps_nobody_waiting(server: Server, http: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(POST + b"Content-Length: 1000\r\n\r\n{")
        assert http.post("/articles", json=GOOD, headers=KEY).status_code == 202


def test_lines_are_taken_one_by_one(http: httpx.Client) -> None:
    lines = [body(), b"", b"{", body(content=""), body(content="a" * 200_000), b"[]", body(id=7)]
    answer = http.post("/articles", content=b"\n".join(lines), headers=LINES)
    assert answer.status_code == 202
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 4)
    assert [(each["line"], each["reason"]) for each in answer.json()["errors"]] == [
        (3, "not JSON"),
        (4, "no content"),
        (5, "article too large"),
        (6, "not an object"),
    ]


def test_a_line_too_long_does_not_hide_the_next(http: httpx.Client) -> None:
    lines = b"\n".join([body(), b"x" * 3_000_000, body(), b"y" * 300_000, body()])
    answer = http.post("/articles", content=lines, headers=LINES)
    assert [each["line"] for each in answer.json()["errors"]] == [2, 4]
    assert answer.json()["accepted"] == 3


def test_an_idempotency_key_counts_once(http: httpx.Client, server: Server) -> None:
    for headers, data in ((JSON, body()), (LINES, body() + b"\n" + body())):
        key = {**headers, "Idempotency-Key": f"once-{headers['Content-Type']}"}

        def send(_: int, key: dict[str, str] = key, data: bytes = data) -> httpx.Response:
            return httpx.post(server.url + "/articles", content=data, headers=key, timeout=60)

        before = http.get("/status", headers=KEY).json()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(send, range(16)))
        assert len({answer.text for answer in answers}) == 1
        replayed = [answer.headers.get("Idempotent-Replayed") for answer in answers]
        assert sorted(replayed, key=str) == [None, *["true"] * 15]
        after = http.get("/status", headers=KEY).json()
        articles = answers[0].json()["accepted"]
        assert after["accepted"] - before["accepted"] == articles
        assert after["duplicate"] - before["duplicate"] == 15 * articles
        other = http.post("/articles", content=data + b" ", headers=key)
        assert other.status_code == 409
        assert "another body" in other.json()["error"]


def test_who_may_read_in_a_browser(http: httpx.Client) -> None:
    """Pages of the origin that is allowed read counts; they may not submit, or see articles."""
    header = "access-control-allow-origin"
    for path in ("/publications", "/frequencies/x", "/trends?word=x"):
        assert http.get(path).headers[header] == "https://example.com"
    assert header not in http.post("/articles", json=GOOD).headers
    assert header not in http.get("/try").headers


def test_names_of_all_kinds_are_found_again(http: httpx.Client, server: Server) -> None:
    names = ["a/b", "..", "A & B?#%", "<script>", "日本 新聞", "entities", "x/entities", 'q"\\']
    for name in names:
        article = {**GOOD, "publication": name}
        assert http.post("/articles", json=article, headers=KEY).status_code == 202
    server.wait_until_saved(KEY)
    listed = {each["name"] for each in http.get("/publications", headers=KEY).json()}
    assert listed.issuperset(names)
    for name in names:
        if name == "..":
            continue  # clients take it out of paths
        quoted = httpx.URL(server.url).copy_with(raw_path=_path(name))
        page = http.get(quoted, headers=KEY)
        assert page.json()["publication"]["name"] == name, page.text
        assert {each["word"] for each in page.json()["entities"]} >= {"berlin"}


def _path(name: str) -> bytes:
    from urllib.parse import quote

    return f"/publications/{quote(name, safe='')}/entities".encode()


def test_pages_of_words_follow_each_other(http: httpx.Client, server: Server) -> None:
    people = " ".join(f"Mr. {first}son met Angela Merkel in Berlin." for first in "ABCDEFG")
    article = {"content": people, "publication": "Pages"}
    http.post("/articles", json=article, headers=KEY)
    server.wait_until_saved(KEY)
    seen: list[tuple[int, str]] = []
    parameters: dict[str, Any] = {"limit": 2}
    while True:
        page = http.get("/publications/pages/entities", params=parameters, headers=KEY).json()
        seen += [(-each["count"], each["word"]) for each in page["entities"]]
        if page["next"] is None:
            break
        parameters["after"] = page["next"]
    assert seen == sorted(set(seen))
    label = http.get("/publications/pages/entities?label=gpe", headers=KEY).json()
    assert [each["word"] for each in label["entities"]] == ["berlin"]


def test_metrics_speak_of_what_happened(http: httpx.Client) -> None:
    text = http.get("/metrics", headers=KEY).text
    for name in (
        "articles_accepted_total",
        "articles_duplicate_total",
        'articles_rejected_total{reason="no content"}',
        "articles_saved_total",
        "spool_articles",
        "spool_bytes",
        "oldest_article_age_seconds",
        "articles_in_flight",
        'batches_released_total{reason="idle"}',
        "batch_articles_bucket",
        "batch_wait_seconds_bucket",
        "extraction_seconds_bucket",
        "commit_seconds_bucket",
        'worker_memory_bytes{worker="extract-0"}',
        'worker_restarts{worker="saver"}',
        'http_requests_total{method="POST",route="/articles",status="422"}',
    ):
        assert f"daskingest_{name}" in text, name


def test_white_space_is_python_s() -> None:
    space = re.compile(f"[{WHITE_SPACE}]")
    assert all(bool(space.match(c)) == c.isspace() for c in map(chr, range(sys.maxunicode + 1)))


def test_the_openapi_document_is_true(server: Server) -> None:
    document = httpx.get(server.url + "/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    schema = schemathesis.openapi.from_url(server.url + "/openapi.json")
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        _probe(result.ok())


def _probe(operation: Any) -> None:
    from hypothesis import HealthCheck, Phase, given, settings

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy())
    def probe(case: Any) -> None:
        case.call_and_validate(headers=KEY)

    probe()


def test_what_was_taken_was_counted(server: Server) -> None:
    """Runs last: whatever the tests above did to it."""
    server.wait_until_saved(KEY)
    status = httpx.get(server.url + "/status", headers=KEY).json()
    assert sum(content(server.store)[0].values()) == status["accepted"] == status["saved"]


def test_reading_needs_a_key_when_private(tmp_path: Path) -> None:
    server = Server(tmp_path, "--private", DASKINGEST_API_KEY="a,b")
    try:
        server.wait_until_ready()
        for path in ("/publications", "/status", "/metrics", "/frequencies/x"):
            assert httpx.get(server.url + path).status_code == 401
            assert httpx.get(server.url + path, auth=("any", "b")).is_success
            assert httpx.get(server.url + path, headers={"access_token": "a"}).is_success
        assert server.answers("/healthz")
    finally:
        server.kill()
