"""Responses that several handlers use."""

from __future__ import annotations

import json

from starlette.responses import Response

JSON_TYPE = "application/json"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Json(Response):
    """A JSON body, in UTF-8."""

    media_type = JSON_TYPE

    def render(self, content: object) -> bytes:
        """The body."""
        return json_bytes(content)


def json_bytes(value: object) -> bytes:
    """A value as JSON, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def varied(response: Response) -> Response:
    """Say that an answer depends on what a proxy said, so that no cache gives it to others.

    Returns the response.
    """
    response.headers["Vary"] = "Host, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Prefix"
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def secured(response: Response, styles: str = "") -> Response:
    """Add headers that let a page load and run only our own files. Returns the response.

    `styles` is another source of styles for the Content-Security-Policy. Headers that the response
    already has are kept.
    """
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self' {styles}; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    for name, value in {**_HEADERS, "Content-Security-Policy": policy}.items():
        response.headers.setdefault(name, value)
    return response
