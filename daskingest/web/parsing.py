"""From a JSON text to a validated article."""

from __future__ import annotations

from typing import NoReturn

from daskingest.articles import Article, Columns, Unusable, article_from
from daskingest.jsontext import json_value
from daskingest.text import is_unicode

MAX_ID = 200
"""Longest article id, in characters."""
TOO_LARGE = "article too large"
"""The reason for rejecting an article above the limit."""

_FIELDS = Columns("content", "publication", date="published")


def value_of(text: bytes) -> object:
    """The value of a JSON text. Raises Unusable."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise Unusable("not UTF-8", f"byte {error.start}") from None
    return json_value(decoded, object_pairs_hook=_object, parse_constant=_no_constant)


def article_of(value: object, max_bytes: int) -> Article:
    """The article in a JSON value; its content has at most `max_bytes` bytes. Raises Unusable."""
    if not isinstance(value, dict):
        raise Unusable("not an object", f"found {kind_of(value)}")
    ident = value.get("id")
    if isinstance(ident, float) and ident.is_integer():
        ident = int(ident)  # JSON does not distinguish 5.0 from 5
        value = {**value, "id": ident}
    if isinstance(ident, bool) or not isinstance(ident, str | int | None):
        raise Unusable("id is not text", f"found {kind_of(ident)}")
    if isinstance(ident, int) and not -(2**63) <= ident < 2**63:
        raise Unusable("id too large", "a number of more than 64 bits")
    if isinstance(ident, str) and len(ident) > MAX_ID:
        raise Unusable("id too long", f"{len(ident):,} characters")
    article = article_from(value, _FIELDS)
    if "\0" in (article.id or ""):
        raise Unusable("id holds a NUL character")
    if article.id and not is_unicode(article.id):
        raise Unusable("id is not valid Unicode", "a lone surrogate")
    if _utf8_size(article.content) > max_bytes:
        raise too_large(max_bytes)
    return article


def too_large(max_bytes: int) -> Unusable:
    """The error for an article of more than `max_bytes` bytes."""
    return Unusable(TOO_LARGE, f"more than {max_bytes:,} bytes")


def kind_of(value: object) -> str:
    """The type of a JSON value, in words."""
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


def rejection_of(error: Unusable) -> dict[str, object]:
    """What a client is told about something that is not an article."""
    words = error.reason.split()
    fields = [name for name in ("content", "publication", "id") if name in words]
    return {"field": next(iter(fields), None), "reason": error.reason, "detail": error.detail}


def _utf8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise Unusable("not JSON", "a field twice in one object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise Unusable("not JSON", f"{name} is not a JSON number")
