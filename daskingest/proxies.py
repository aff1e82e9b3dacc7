"""The proxy that the environment names for a URL, if it does, and requests by way of it."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx

_DEFAULT_PORTS = {"http": 80, "https": 443}

Inner = TypeVar("Inner", httpx.HTTPTransport, httpx.AsyncHTTPTransport)


@dataclass(frozen=True, slots=True)
class NamedProxy:
    """A proxy, and the variable that names it."""

    url: str
    variable: str

    @property
    def shown(self) -> str:
        """It without the password that its URL may have."""
        return str(httpx.URL(self.url).copy_with(userinfo=b""))


def proxy_for(url: httpx.URL, environment: Mapping[str, str]) -> NamedProxy | None:
    """The proxy for a URL: HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, in small letters or capitals.

    None if there is none, or NO_PROXY has the host: its name or one that it ends in, its address or
    a network that it is in (`fe80::/10`), with brackets or without, and perhaps with a port.
    """
    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    port = url.port or _DEFAULT_PORTS.get(url.scheme)
    if any(_covers(each.strip(), url.host, port) for each in exceptions.split(",")):
        return None
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if value := environment.get(variable, "").strip():
                return NamedProxy(value if "://" in value else f"http://{value}", variable)
    return None


def _covers(exception: str, host: str, port: int | None) -> bool:
    """Whether an entry of NO_PROXY is about a host."""
    if exception == "*":
        return True
    name = exception.rpartition("://")[2].lower()
    before, colon, number = name.rpartition(":")
    if colon and number.isdigit() and (before.endswith("]") or ":" not in before):
        if int(number) != port:
            return False
        name = before
    name = name.replace("[", "").replace("]", "")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = name.removeprefix("*").removeprefix(".")
        return bool(name) and f".{host.lower()}".endswith(f".{name}")
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


class _Ways(Generic[Inner]):
    """A transport for each proxy that is used, and one without, made by `make`."""

    def __init__(self, make: Callable[[httpx.Proxy | None], Inner], url: httpx.URL) -> None:
        """Raises ImportError, OSError or ValueError if those to a URL can't be made."""
        self._make: Callable[[httpx.Proxy | None], Inner] = make
        self._made: dict[NamedProxy | None, Inner] = {}
        self.to(url)

    def to(self, url: httpx.URL) -> tuple[NamedProxy | None, Inner]:
        proxy = proxy_for(url, os.environ)
        if proxy not in self._made:
            self._made[proxy] = self._make(None if proxy is None else httpx.Proxy(proxy.url))
        return proxy, self._made[proxy]

    def all(self) -> list[Inner]:
        return list(self._made.values())


class ProxiedTransport(httpx.BaseTransport):
    """Sends each request by way of the proxy that the environment names; errors name the proxy.

    `make` makes a transport with a proxy or without. Raises ImportError, OSError or ValueError if
    the one for `url`, the first that is asked for, cannot be made.
    """

    def __init__(
        self, make: Callable[[httpx.Proxy | None], httpx.HTTPTransport], url: httpx.URL
    ) -> None:
        self._ways = _Ways(make, url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        proxy, transport = self._ways.to(request.url)
        with _naming(proxy):
            return transport.handle_request(request)

    def close(self) -> None:
        """See httpx."""
        for each in self._ways.all():
            each.close()


class AsyncProxiedTransport(httpx.AsyncBaseTransport):
    """The same for an asynchronous client. A connection is lost in ways that httpx names, only."""

    def __init__(
        self, make: Callable[[httpx.Proxy | None], httpx.AsyncHTTPTransport], url: httpx.URL
    ) -> None:
        self._ways = _Ways(make, url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        proxy, transport = self._ways.to(request.url)
        with _naming(proxy), _lost_at_once():
            return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        """See httpx."""
        for each in self._ways.all():
            await each.aclose()


@contextmanager
def _naming(proxy: NamedProxy | None) -> Iterator[None]:
    """Have errors say that it was the proxy that failed."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        if proxy is None or _is_of_tls(error):
            raise
        said = "refused" if isinstance(error, httpx.ProxyError) else "did not answer"
        text = f"the proxy {proxy.shown} set by {proxy.variable} {said}: {error}"
        raise type(error)(text) from error


@contextmanager
def _lost_at_once() -> Iterator[None]:
    """Have a connection that was reset before its first use be one that could not be made.

    anyio asks such a one's socket, which is None by then, for the address of its peer.
    """
    try:
        yield
    except AttributeError as error:
        if error.name != "getpeername" or error.obj is not None:
            raise
        raise httpx.ConnectError("the connection was reset before its first use") from error


def _is_of_tls(error: BaseException | None) -> bool:
    """Whether it is the server beyond the proxy that could not prove who it is."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
