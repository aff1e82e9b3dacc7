"""The bodies of requests: their media type, and their bytes, decompressed and within limits."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.types import Receive

from daskingest.web.problems import Problem
from daskingest.web.responses import JSON_TYPE

if TYPE_CHECKING:
    from zlib import _Decompress

LINES_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")

_PATIENCE = 30.0  # seconds that a body may take,
_SLOWEST = 1_000  # and bytes that must arrive in each further second
_UNPACKED = 1 << 18  # bytes that are decompressed at a time


def media_type(headers: Mapping[str, str]) -> str:
    """The body's media type: JSON_TYPE, or the first of LINES_TYPES for any of them.

    Raises a Problem for any other type, and unless the body is in UTF-8.
    """
    header = headers.get("content-type", "")
    if header == JSON_TYPE:
        return JSON_TYPE
    name, *parameters = (part.strip() for part in header.lower().split(";"))
    if name != JSON_TYPE and name not in LINES_TYPES:
        raise Problem(
            415,
            f"expected a Content-Type of {JSON_TYPE} or {LINES_TYPES[0]}, found {header!r}",
            "wrong type",
        )
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset" and value.strip(' "') not in ("utf-8", "utf8"):
            raise Problem(415, f"expected UTF-8, found {parameter!r}", "wrong type")
    return JSON_TYPE if name == JSON_TYPE else LINES_TYPES[0]


class Body:
    """A request's body, decompressed, as it arrives; at most `limit` bytes, decompressed.

    Not an asynchronous generator: each of those is registered with the event loop, which takes
    longer than reading a body.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        receive: Receive,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise Problem(
                415,
                f"expected the Content-Encoding gzip or none, found {encoding!r}",
                "wrong encoding",
            )
        self._unpack = _Gunzip() if encoding != "identity" else None
        if self._unpack is None and _stated_length(headers) > limit:
            raise _too_large(limit)
        self._receive = receive
        self._limit = limit
        self._clock = clock
        self._deadline = clock() + _PATIENCE
        self._total = 0
        self._more = True
        self.ended = False
        """Whether all of the body has been read."""

    async def read(self) -> bytes:
        """The next part; empty at the end.

        Raises a Problem if the body is too large, corrupt, too slow or cut off.
        """
        part = b""
        if self._unpack is not None and self._unpack.pending:
            # A little data may expand to very much: all of it at once would block other requests.
            part = await asyncio.to_thread(self._unpack.more)
        while self._more and not part:
            received = await self._next()
            part = received if self._unpack is None else self._unpack(received)
        if not part and self._unpack is not None and not self._unpack.complete:
            raise Problem(400, "the body's gzip data is cut off", "not gzip")
        self._total += len(part)
        if self._total > self._limit:
            raise _too_large(self._limit)
        self.ended = not part
        return part

    async def piece(self, min_bytes: int) -> bytes:
        """The next parts together, at least `min_bytes`; fewer only if the body has `ended`."""
        parts: list[bytes] = []
        size = 0
        while size < min_bytes and (part := await self.read()):
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._deadline - self._clock()):
                message = await self._receive()
        except TimeoutError:
            raise Problem(
                408,
                f"the body arrived too slowly: {self._total:,} bytes so far; send it faster, "
                "or in parts",
                "too slow",
            ) from None
        if message["type"] == "http.disconnect":
            raise Problem(
                400, "the connection ended before the body did", "disconnected", articles=0
            )
        self._more = message.get("more_body", False)
        received: bytes = message.get("body", b"")
        self._deadline += len(received) / _SLOWEST
        return received


def _stated_length(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        f"expected a body of at most {limit:,} bytes, uncompressed, found more; send it in parts",
        "body too large",
    )


class _Gunzip:
    """Decompresses gzip data of one or more members, a bounded amount at a time."""

    def __init__(self) -> None:
        self._inflate: _Decompress | None = None
        self._left = b""

    @property
    def complete(self) -> bool:
        """Whether the data given so far consists of complete members."""
        return self._inflate is not None and self._inflate.eof

    @property
    def pending(self) -> bool:
        """Whether the data given last has more output."""
        return bool(self._left)

    def __call__(self, data: bytes) -> bytes:
        """The first output of the data. There must be no more output of the data given before."""
        self._left = data
        return self.more()

    def more(self) -> bytes:
        """More output of the data given last; empty: there is no more."""
        part = b""
        while self._left and not part:
            if self._inflate is None or self._inflate.eof:
                self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            try:
                part = self._inflate.decompress(self._left, _UNPACKED)
            except zlib.error as error:
                raise Problem(400, f"the body is not gzip: {error}", "not gzip") from None
            self._left = self._inflate.unused_data or self._inflate.unconsumed_tail
        return part
