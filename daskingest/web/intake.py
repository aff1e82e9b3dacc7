"""From request bodies to articles: unpacked, cut into lines, parsed and checked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from daskingest.articles import Article, Columns, Unusable, article_from
from daskingest.settings import ServeSettings
from daskingest.text import is_unicode
from daskingest.web.problems import Problem

JSON_TYPE = "application/json"
LINES_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")

_FIELDS = Columns("content", "publication")
_PATIENCE = 30.0  # seconds that a body may take, and
_SLOWEST = 1_000  # bytes of it that must come in each second beyond
_PIECE = 1 << 18  # bytes of lines that are parsed together
_ON_THE_LOOP = 1 << 16  # bytes of JSON that are parsed without another thread
MAX_ID = 200
"""Longest article id, in characters."""
_LISTED = 1_000  # rejected lines that an answer lists


@dataclass(slots=True)
class Lines:
    """What became of the lines of an NDJSON body so far."""

    articles: list[Article] = field(default_factory=list)
    accepted: int = 0
    rejected: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)

    def answer(self) -> dict[str, Any]:
        """What the client is told. Not all of very many rejected lines are listed."""
        return {"accepted": self.accepted, "rejected": self.rejected, "errors": self.listed}

    def reject(self, line: int, error: Unusable) -> None:
        """Note a line, counted from 1, that holds no article."""
        self.rejected += 1
        self.reasons[error.reason] = self.reasons.get(error.reason, 0) + 1
        if len(self.listed) < _LISTED:
            self.listed.append({"line": line, **_as_json(error)})


def media_type(headers: Mapping[str, str]) -> str:
    """The body's type. Raises a Problem unless it is one of those that are taken, in UTF-8."""
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
    """A request's body, unpacked, as it comes in.

    Not an asynchronous generator: each of those is registered with the event loop, which takes
    longer than reading a body does.
    """

    def __init__(self, headers: Mapping[str, str], receive: Receive, most: int) -> None:
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise Problem(
                415,
                f"expected the Content-Encoding gzip or none, found {encoding!r}",
                "wrong encoding",
            )
        self._unpack = _Gunzip() if encoding != "identity" else None
        if self._unpack is None and _stated_length(headers) > most:
            raise _too_large(most)
        self._receive = receive
        self._most = most
        self._deadline = time.monotonic() + _PATIENCE
        self._total = 0
        self._more = True

    async def read(self) -> bytes:
        """The next part, of a few megabytes at most; empty at the end.

        Raises a Problem if the body is too large, broken or slow, and ClientDisconnect.
        """
        part = self._unpack.more() if self._unpack is not None else b""
        while self._more and not part:
            received = await self._next()
            part = received if self._unpack is None else self._unpack(received)
        if not part and self._unpack is not None and not self._unpack.complete:
            raise Problem(400, "the gzip data of the body is cut off", "not gzip")
        self._total += len(part)
        if self._total > self._most:
            raise _too_large(self._most)
        return part

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._deadline - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise Problem(
                408,
                f"the body came too slowly: {self._total:,} bytes so far; send it faster, "
                "or in parts",
                "too slow",
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._more = message.get("more_body", False)
        received: bytes = message.get("body", b"")
        self._deadline += len(received) / _SLOWEST
        return received


def _stated_length(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _too_large(most: int) -> Problem:
    return Problem(
        413,
        f"expected a body of at most {most:,} bytes, unpacked, found more; send it in parts",
        "body too large",
    )


class _Gunzip:
    """Unpacks gzip data, of one member or several, a bounded amount at a time."""

    def __init__(self) -> None:
        self._inflate: Any = None
        self._left = b""

    @property
    def complete(self) -> bool:
        return self._inflate is not None and self._inflate.eof

    def __call__(self, data: bytes) -> bytes:
        self._left = data
        return self.more()

    def more(self) -> bytes:
        """What else is in the data given last; empty: nothing."""
        part = b""
        while self._left and not part:
            if self._inflate is None or self._inflate.eof:
                self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            try:
                part = self._inflate.decompress(self._left, 1 << 20)
            except zlib.error as error:
                raise Problem(400, f"the body is not gzip: {error}", "not gzip") from None
            self._left = self._inflate.unused_data or self._inflate.unconsumed_tail
        return part


async def json_articles(body: bytes, settings: ServeSettings) -> list[Article]:
    """The articles of a JSON body, an object or an array: all, or a Problem with all bad ones."""
    if len(body) <= _ON_THE_LOOP:
        return _json_articles(body, settings)
    return await asyncio.to_thread(_json_articles, body, settings)


def _json_articles(body: bytes, settings: ServeSettings) -> list[Article]:
    try:
        value = _loads(body)
    except Unusable as error:
        raise Problem(
            400, f"expected JSON, an object or an array of objects: {error}", error.reason
        ) from None
    many = isinstance(value, list)
    if not many and not isinstance(value, dict):
        raise Problem(
            422,
            f"expected an object or an array of objects, found {_kind(value)}",
            "not an object",
            rejected=[],
        )
    articles: list[Article] = []
    rejected: list[dict[str, Any]] = []
    reason = ""
    for index, each in enumerate(value if many else [value]):
        try:
            articles.append(_article(each, settings))
        except Unusable as error:
            reason = reason or error.reason
            rejected.append({"index": index, **_as_json(error)})
    if rejected:
        first = rejected[0]
        status = 413 if all(each["reason"] == _TOO_LARGE for each in rejected) else 422
        place = f"article {first['index']}: " if many else ""
        detail = f" ({first['detail']})" if first["detail"] else ""
        raise Problem(
            status,
            f"none was taken, because {len(rejected):,} of {len(value) if many else 1:,} can't be: "
            f"{place}{first['reason']}{detail}",
            reason,
            rejected=rejected[:_LISTED],
        )
    return articles


async def articles_of_lines(
    body: Body, settings: ServeSettings, lines: Lines, digest: Any
) -> AsyncIterator[list[Article]]:
    """The articles of an NDJSON body, some at a time, while it comes in; `lines` is kept up."""
    number = 1
    rest = b""
    skipping = False  # the rest of a line that was too long
    pending: list[bytes] = []
    size = 0
    while part := await body.read():
        digest.update(part)
        pending.append(part)
        size += len(part)
        if size < _PIECE:
            continue
        *whole, rest = (rest + b"".join(pending)).split(b"\n")
        pending, size = [], 0
        if skipping and whole:
            whole[0], skipping = b"", False
        elif skipping:
            rest = b""
        yield await asyncio.to_thread(_parse_lines, whole, number, settings, lines)
        number += len(whole)
        if len(rest) > settings.max_article_bytes and not skipping:
            lines.reject(number, _too_large_article(settings))
            rest, skipping = b"", True
    whole = (rest + b"".join(pending)).split(b"\n")
    if skipping:
        whole[0] = b""
    yield await asyncio.to_thread(_parse_lines, whole, number, settings, lines)


def _parse_lines(
    texts: Sequence[bytes], number: int, settings: ServeSettings, lines: Lines
) -> list[Article]:
    articles: list[Article] = []
    for line, text in enumerate(texts, number):
        if not text or text.isspace():
            continue
        try:
            if len(text) > settings.max_article_bytes:
                raise _too_large_article(settings)
            articles.append(_article(_loads(text), settings))
        except Unusable as error:
            lines.reject(line, error)
    lines.accepted += len(articles)
    return articles


_TOO_LARGE = "article too large"


def _too_large_article(settings: ServeSettings) -> Unusable:
    return Unusable(_TOO_LARGE, f"more than {settings.max_article_bytes:,} bytes")


def _article(value: object, settings: ServeSettings) -> Article:
    if not isinstance(value, dict):
        raise Unusable("not an object", f"found {_kind(value)}")
    ident = value.get("id")
    if isinstance(ident, float) and ident.is_integer():
        ident = int(ident)  # in JSON 5.0 is a whole number
        value = {**value, "id": ident}
    if isinstance(ident, bool) or not isinstance(ident, str | int | None):
        raise Unusable("id is not text", f"found {_kind(ident)}")
    if isinstance(ident, int) and not -(2**63) <= ident < 2**63:
        raise Unusable("id too large", "a number of more than 64 bits")
    if isinstance(ident, str) and len(ident) > MAX_ID:
        raise Unusable("id too long", f"{len(ident):,} characters")
    article = article_from(value, _FIELDS)
    for name, text in (
        ("content", article.content),
        ("publication", article.publication),
        ("id", article.id or ""),
    ):
        if "\0" in text:
            raise Unusable(f"{name} holds a NUL character")
    if article.id and not is_unicode(article.id):
        raise Unusable("id is not valid Unicode", "a lone surrogate")
    if len(article.content) > settings.max_article_bytes:
        raise _too_large_article(settings)
    return article


def _loads(text: bytes) -> Any:
    """The value of a JSON text. Raises Unusable."""
    try:
        return json.loads(
            text.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise Unusable("not UTF-8", f"byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise Unusable("not JSON", f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise Unusable("not JSON", "nested too deeply") from None
    except Unusable:
        raise
    except ValueError:
        raise Unusable("not JSON", "a number of too many digits") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise Unusable("not JSON", "a field twice in one object")
    return value


def _no_constant(name: str) -> Any:
    raise Unusable("not JSON", f"{name} is no JSON number")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


def _as_json(error: Unusable) -> dict[str, Any]:
    words = error.reason.split()
    fields = [name for name in ("content", "publication", "id") if name in words]
    return {"field": next(iter(fields), None), "reason": error.reason, "detail": error.detail}


def digest_of(body: bytes) -> str:
    """What tells two bodies apart."""
    return hashlib.sha256(body).hexdigest()
