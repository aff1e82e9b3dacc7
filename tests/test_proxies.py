"""The proxies that the environment names, and those that it exempts."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest
from program import run

from daskingest.proxies import NamedProxy, proxy_for

PROXY = {"HTTP_PROXY": "http://me:secret@proxy.example:3128", "https_proxy": "proxy.example:3129"}


@pytest.mark.parametrize(
    ("exceptions", "url"),
    [
        ("::1", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("localhost,127.0.0.1,::1", "http://[::1]:8000"),
        ("localhost, 127.0.0.1 , ::1", "http://127.0.0.1:8000"),
        ("localhost,127.0.0.1,::1", "http://LOCALHOST:8000"),
        ("0:0:0:0:0:0:0:1", "http://[::1]"),
        ("fe80::/10", "http://[fe80::12]/x"),
        ("[fe80::]/10", "http://[fe80::12]/x"),
        ("10.0.0.0/8", "https://10.1.2.3"),
        ("http://10.1.2.3", "http://10.1.2.3"),
        ("example.org", "https://www.example.org"),
        (".example.org", "https://www.example.org"),
        ("*.example.org", "https://www.example.org"),
        ("example.org:443", "https://example.org"),
        ("*", "https://example.org"),
    ],
)
def test_what_needs_no_proxy(exceptions: str, url: str) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        assert proxy_for(httpx.URL(url), {**PROXY, variable: exceptions}) is None


@pytest.mark.parametrize(
    ("exceptions", "url"),
    [
        ("", "http://[::1]:8000"),
        ("::1", "http://[::2]:8000"),
        ("[::1]:9000", "http://[::1]:8000"),
        ("fe80::/10", "http://[fd00::1]"),
        ("example.org", "http://badexample.org"),
        ("example.org:80", "http://example.org:8000"),
        (",nonsense::/900,", "http://example.org"),
    ],
)
def test_what_needs_one(exceptions: str, url: str) -> None:
    found = proxy_for(httpx.URL(url), {**PROXY, "NO_PROXY": exceptions})
    assert found == NamedProxy("http://me:secret@proxy.example:3128", "HTTP_PROXY")


def test_a_proxy_for_each_kind_of_address() -> None:
    assert proxy_for(httpx.URL("https://x.org"), PROXY) == NamedProxy(
        "http://proxy.example:3129", "https_proxy"
    )
    every = {"ALL_PROXY": "socks5://proxy.example"}
    found = proxy_for(httpx.URL("https://x.org"), every)
    assert found == NamedProxy("socks5://proxy.example", "ALL_PROXY")
    assert proxy_for(httpx.URL("https://x.org"), {}) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("upload", "a.csv", "--url", "http://service.example", "--patience", "0"),
        ("download", "--url", "http://service.example/a.csv"),
    ],
)
def test_a_proxy_that_fails_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "a.csv").write_text("text,source\nhello,P\n")
    with socket.socket() as bound:  # where nothing listens
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        environment = {"http_proxy": f"http://me:secret@{address}", "no_proxy": "::1,[fe80::]/10"}
        code, output = run(tmp_path, *arguments, **environment)
    assert code == 1, output
    assert f"the proxy http://{address} set by http_proxy did not answer" in output
    assert "secret" not in output
