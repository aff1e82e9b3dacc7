"""A request, as handlers see it."""

from __future__ import annotations

import random
import re
from functools import cached_property

from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope

from daskingest.errors import UsageError
from daskingest.stores.periods import Period, period_of
from daskingest.web.body import Body
from daskingest.web.prefix import prefix_in
from daskingest.web.problems import Problem

_REQUEST_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)
_SCHEME, _HOST = re.compile("https?"), re.compile(r"[\w.:\[\]-]{1,255}", re.ASCII)
_MAX_TEXT = 2_000  # characters


class Call:
    """A request. Its methods raise Problem if what they read is not valid."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.headers: dict[str, str] = {
            k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]
        }

    @property
    def method(self) -> str:
        """The HTTP method, as it was sent."""
        method: str = self.scope["method"]
        return method

    @property
    def path(self) -> str:
        """The path, unquoted, without the query."""
        path: str = self.scope["path"]
        return path

    @cached_property
    def query(self) -> QueryParams:
        """The query's parameters."""
        return QueryParams(self.scope["query_string"])

    @cached_property
    def address(self) -> str:
        """The address of the service, as far as a proxy says so; empty if what it says is none."""
        scheme: str = self.headers.get("x-forwarded-proto") or self.scope.get("scheme", "http")
        host = self.headers.get("x-forwarded-host", self.headers.get("host", ""))
        if not _SCHEME.fullmatch(scheme) or not _HOST.fullmatch(host):
            return ""
        return f"{scheme}://{host}{self.prefix}"

    @cached_property
    def prefix(self) -> str:
        """The path under which a proxy shows the service, such as `/news`; empty: unknown."""
        return prefix_in(self.scope, self.headers)

    @property
    def up(self) -> str:
        """What a link in the answer begins with, up to the folder of all pages.

        With a known prefix it does not depend on whether the path ends with a slash.
        """
        return f"{self.prefix}/" if self.prefix else "../" * max(0, self.path.count("/") - 1)

    def path_parameter(self, name: str) -> str:
        """The value in the path of a parameter of the route."""
        value: str = self.scope["path_params"][name]
        return value

    @property
    def publication(self) -> str:
        """The name of the publication in the path."""
        return self.path_parameter("publication")

    def request_id(self) -> str:
        """The request id that was sent, else a new one at each call."""
        sent = self.headers.get("x-request-id")
        if sent is not None and _REQUEST_ID.fullmatch(sent):
            return sent
        return f"{random.getrandbits(64):016x}"  # only identifies the request

    def idempotency_key(self) -> str | None:
        """The key under which the request counts once, if it has one."""
        key = self.headers.get("idempotency-key")
        if key is not None and not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
            raise Problem(
                400,
                "expected an Idempotency-Key of 1 to 255 visible ASCII characters, "
                f"found {len(key)} characters",
                "wrong idempotency key",
            )
        return key

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """An integer in the query, from `low` to `high`."""
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII) or not low <= int(text) <= high:
            raise Problem(
                422,
                f"expected {name} to be a whole number from {low} to {high}, found {text[:50]!r}",
                "wrong parameter",
            )
        return int(text)

    def text(self, name: str, limit: int = _MAX_TEXT) -> str:
        """A text in the query, cut to `limit` characters; empty if it is missing."""
        return _clean(self.query.get(name, ""), limit)

    def texts(self, name: str) -> list[str]:
        """All texts of that name in the query."""
        return [_clean(value, _MAX_TEXT) for value in self.query.getlist(name)]

    def period(self) -> Period:
        """The months that the query is about, from `since` to `until`."""
        try:
            return period_of(self.query.get("since"), self.query.get("until"), ordered=False)
        except UsageError as error:
            raise Problem(422, str(error), "wrong parameter") from None

    async def body(self, limit: int) -> bytes:
        """The body, decompressed, of at most `limit` bytes."""
        body, parts = Body(self.headers, self.receive, limit), bytearray()
        while part := await body.read():
            parts += part
        return bytes(parts)


def _clean(text: str, limit: int) -> str:
    """The text, cut, and without what no store accepts: NUL characters and lone surrogates."""
    return text.replace("\0", "")[:limit].encode(errors="ignore").decode()
