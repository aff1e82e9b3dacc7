"""The address where a service listens, and the keys that its clients need."""

from __future__ import annotations

import ipaddress
import os
import socket

from daskingest.errors import UsageError


def listen(host: str, port: int, keys: tuple[str, ...]) -> socket.socket:
    """The listening socket. Raises UsageError if it can't be opened, or needs a key."""
    try:
        [(family, *_, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"no address to listen on: {host!r}: {error.strerror}") from None
    if not keys and not _is_loopback(str(address[0])):
        raise UsageError(
            f"without a key the service listens on this machine only, and {host} is open to "
            "others: set DASKINGEST_API_KEY to a key of your choice (or several, separated by "
            "commas)"
        )
    try:
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error.strerror
        raise UsageError(
            f"cannot listen on {host} port {port}: {reason}; name another with --port"
        ) from None


def url_of(host: str, listener: socket.socket) -> str:
    """The URL of what listens at a host; its port is the one that it got."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


def lets_try(wanted: bool | None, host: str, reading_needs_key: bool) -> bool:
    """Whether people may try articles: if nothing else is wanted, not where anybody could."""
    if wanted is not None:
        return wanted
    if reading_needs_key:
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(_is_loopback(str(address[0])) for *_, address in found)


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def keys_from(text: str | None) -> tuple[str, ...]:
    """The keys in a value of DASKINGEST_API_KEY. Raises UsageError if one is empty or not ASCII."""
    if text is None:
        return ()
    keys = tuple(key.strip() for key in text.split(","))
    if not all(keys) or not text.isascii():
        raise UsageError(
            "expected DASKINGEST_API_KEY to be keys of ASCII characters, separated by commas; "
            "found an empty key or other characters"
        )
    return keys
