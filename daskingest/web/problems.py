"""What a client is told when a request cannot be met, and who may ask what."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response


class Json(Response):
    """A JSON body, in UTF-8."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


class Problem(Exception):
    """A request cannot be met. `error` says what was expected, what was seen, and what to do."""

    def __init__(self, status: int, error: str, reason: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.reason = reason
        """A fixed phrase, for counting."""
        self.body = {"error": error, **more}
        self.headers: dict[str, str] = {}
        rejected = more.get("rejected")
        self.articles = max(1, len(rejected) if isinstance(rejected, list) else 1)
        """How many were refused, as far as is known."""

    def response(self) -> Response:
        """The answer."""
        return Json(self.body, self.status, headers=self.headers)


def unavailable(error: str, reason: str, retry_after: int) -> Problem:
    """503, and when to try again, in seconds."""
    problem = Problem(503, error, reason)
    problem.headers["Retry-After"] = str(retry_after)
    return problem


def require_key(headers: Mapping[str, str], keys: Sequence[str]) -> None:
    """Raise a Problem unless the headers carry one of the keys; no key: all may.

    It comes as `Authorization: Bearer KEY`, as `access_token: KEY`, or as the password of HTTP
    Basic. The comparison takes the same time whatever was sent.
    """
    if not keys:
        return
    sent = _sent_key(headers).encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(sent, key.encode()) for key in keys]
    if not any(matches):
        seen = "another" if sent else "none"
        problem = Problem(
            401,
            f"expected a key, found {seen}: send it as `Authorization: Bearer KEY`",
            "no valid key",
        )
        # One challenge: browsers don't ask for a password when there are two in a header.
        problem.headers["WWW-Authenticate"] = 'Basic realm="daskingest", charset="UTF-8"'
        raise problem


def _sent_key(headers: Mapping[str, str]) -> str:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer":
        return credentials
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            return ""
        return decoded.partition(b":")[2].decode("utf-8", "surrogateescape")
    return headers.get("access_token", "")
