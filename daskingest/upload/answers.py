"""What an answer of the service means for the articles sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from daskingest.errors import DaskingestError
from daskingest.text import printable
from daskingest.upload.parcels import Parcel

_ACCEPTED = (200, 201, 202)
_REJECTED = (413, 422)
_RETRY_LATER = (408, 429, 500, 502, 503, 504)
_LONGEST_TEXT = 300  # characters of an answer that are shown


class UploadError(DaskingestError):
    """The upload can't continue."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service has the articles, except those in `rejected`: by index, reason and detail."""

    rejected: dict[int, tuple[str, str]] = field(default_factory=dict)
    replayed: bool = False
    """Whether it had them from an earlier attempt."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The service will not accept them as they are."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """The service may accept them later: after `wait` seconds, if it said so."""

    reason: str
    detail: str = ""
    wait: float | None = None


Judgement = Accepted | Rejected | RetryLater


def judge(answer: httpx.Response, parcel: Parcel, legacy: bool, now: datetime) -> Judgement:
    """What became of a parcel. Raises UploadError if another attempt would make no difference."""
    status, said = answer.status_code, _value(answer)
    if status in _ACCEPTED:
        return _accepted(answer, said, parcel, legacy)
    if status in _REJECTED:
        return _rejected(status, said)
    if status in _RETRY_LATER:
        wait = retry_after(answer.headers.get("Retry-After"), now)
        return RetryLater(f"answered {status}", shown(said.get("error", "")), wait)
    place = shown(str(answer.url.copy_with(query=None)))
    if status in (401, 403):
        raise UploadError(
            f"{place} answered {status}: expected a key that the service knows; set it in "
            "DASKINGEST_API_KEY, or with --api-key"
        )
    if answer.has_redirect_location:
        target = shown(answer.headers["Location"])
        raise UploadError(
            f"{place} answered {status}: redirects (to {target}) are not followed; give the "
            "service's own address with --url"
        )
    if status == 409:
        raise UploadError(
            f"{place} answered 409: the file has changed since the upload began; leave out "
            "--resume to start over"
        )
    text = shown(said.get("error", "") or answer.text)
    raise UploadError(f"{place} answered {status}, expected 202: {text}")


def _value(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _accepted(
    answer: httpx.Response, said: dict[str, Any], parcel: Parcel, legacy: bool
) -> Accepted:
    replayed = answer.headers.get("Idempotent-Replayed") == "true"
    if legacy:
        return Accepted(replayed=replayed)
    accepted, rejected = said.get("accepted"), said.get("rejected", 0)
    errors = said.get("errors", [])
    try:
        indexes = {each["line"] - 1: (each["reason"], each.get("detail", "")) for each in errors}
        fits = accepted + rejected == len(parcel.items) and len(indexes) == rejected
        fits = fits and all(
            isinstance(index, int) and 0 <= index < len(parcel.items) for index in indexes
        )
    except (TypeError, KeyError):
        fits, indexes = False, {}
    if not fits:
        raise UploadError(
            f"{shown(str(answer.url))} answered {answer.status_code} without saying what became of "
            f"{len(parcel.items):,} articles: expected a daskingest service, found "
            f"{shown(answer.text) or 'nothing'}"
        )
    return Accepted({index: (shown(r), shown(d)) for index, (r, d) in indexes.items()}, replayed)


def _rejected(status: int, said: dict[str, Any]) -> Rejected:
    try:
        [first, *_] = said["rejected"]
        return Rejected(shown(first["reason"]), shown(first.get("detail", "")))
    except (TypeError, KeyError, ValueError):
        reason = "too large for the service" if status == 413 else "refused by the service"
        return Rejected(reason, shown(said.get("error", "")) or f"answered {status}")


def retry_after(header: str | None, now: datetime) -> float | None:
    """The seconds that a Retry-After header asks for, in either form (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def shown(text: object) -> str:
    """What a service said, made safe for a terminal."""
    folded = " ".join(str(text).split())[:_LONGEST_TEXT]
    return printable(folded)
