"""Authorization: the key that a request carries."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence

from daskingest.web.problems import Problem


def require_key(headers: Mapping[str, str], keys: Sequence[str]) -> None:
    """Raise a Problem unless the headers have one of the keys. Without keys everybody is allowed.

    It is sent as `Authorization: Bearer KEY`, as `access_token: KEY`, or as the password of HTTP
    Basic. The comparison takes the same time whatever was sent.
    """
    if not keys:
        return
    sent = _sent_key(headers).encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(sent, key.encode()) for key in keys]
    if not any(matches):
        seen = "another" if sent else "none"
        raise Problem(
            401,
            f"expected a key, found {seen}: send it as `Authorization: Bearer KEY`",
            "no valid key",
            # Only one challenge: browsers don't ask for a password if the header has two.
            headers={"WWW-Authenticate": 'Basic realm="daskingest", charset="UTF-8"'},
        )


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
