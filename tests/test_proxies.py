"""The proxies that the environment names, and those that it exempts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvloop
from program import run

from daskingest.proxies import AsyncProxiedTransport, NamedProxy, proxy_for

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


@contextlib.contextmanager
def resetting() -> Iterator[str]:
    """The URL of a server that resets each connection as soon as it is open."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    at_once = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_connection_that_is_reset_at_once_is_one_that_is_lost() -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for _ in range(50):
            with pytest.raises(httpx.TransportError):
                await client.post("/", content=b"text")

    async def ask_at_once(url: str) -> None:
        transport = AsyncProxiedTransport(
            lambda proxy: httpx.AsyncHTTPTransport(proxy=proxy), httpx.URL(url)
        )
        async with httpx.AsyncClient(base_url=url, transport=transport) as client:
            await asyncio.gather(*(ask(client) for _ in range(16)))

    with resetting() as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask_at_once(url))
