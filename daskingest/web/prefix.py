"""The path prefix under which a proxy shows the service, such as `/news`.

A proxy either takes it off the paths that it hands on or does not. `--root-path` names it for both
kinds. A proxy that takes it off may name it in `X-Forwarded-Prefix` instead: that only decides what
links begin with. It never decides which page is meant, or who may send headers could reach pages
that a proxy hides, by a path that the proxy does not recognise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from daskingest.errors import UsageError

_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[\w.~-]+)*/?", re.ASCII)
"""Of what a link may begin with: no host (`//…`), no markup, and no way up (`..`)."""

_MOST = 200  # characters
_SCOPE_KEY = "daskingest.prefix"


def prefix_of(text: str) -> str | None:
    """The prefix in a text, without a slash at its end; None if it is not one."""
    found = len(text) <= _MOST and _PREFIX.fullmatch(text)
    return text.rstrip("/") if found else None


def root_path_of(text: str) -> str:
    """The prefix that `--root-path` names. Raises UsageError."""
    found = prefix_of(text)
    if found is None:
        raise UsageError(
            "--root-path: expected a path such as /news, of letters, digits, '-', '.', '_', '~' "
            f"and single slashes, found {text[:80]!r}"
        )
    return found


def prefix_in(scope: Scope, headers: Mapping[str, str]) -> str:
    """What links to the service begin with; empty if neither an option nor a proxy says so."""
    configured: str | None = scope.get(_SCOPE_KEY)
    if configured is not None:
        return configured
    return prefix_of(headers.get("x-forwarded-prefix", "")) or ""


@dataclass(frozen=True, slots=True)
class Prefixed:
    """An application under a prefix: with it or without, a path means the same."""

    app: ASGIApp
    prefix: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, without the prefix."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self.prefix or path.startswith(self.prefix + "/"):
            path = path.removeprefix(self.prefix) or "/"
        await self.app({**scope, "path": path, _SCOPE_KEY: self.prefix}, receive, send)
