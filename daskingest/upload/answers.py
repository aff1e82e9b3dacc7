"""What an answer of the service means for the articles that were sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from daskingest.errors import DaskingestError
from daskingest.upload.parcels import Parcel

_ACCEPTED = (200, 201, 202)
_REJECTED = (413, 422)
_RETRY_LATER = (408, 429, 500, 502, 503, 504)
_LONGEST_TEXT = 300  # characters of what a service says that are shown


class UploadError(DaskingestError):
    """The upload can't go on."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service has the articles but for some: `rejected` has their places, and why."""

    rejected: dict[int, tuple[str, str]] = field(default_factory=dict)
    replayed: bool = False
    """It had them from an earlier try."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The service will not take them as they are."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """The service may take them later: after `wait` seconds, if it said so."""

    reason: str
    detail: str = ""
    wait: float | None = None


Judgement = Accepted | Rejected | RetryLater


def judge(answer: httpx.Response, parcel: Parcel, legacy: bool, now: datetime) -> Judgement:
    """What became of a parcel. Raises UploadError for an answer that no other try would change."""
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
            f"{place} answered {status}: expected a key that the service knows; set "
            "DASKINGEST_API_KEY to it, or name it with --api-key"
        )
    if answer.has_redirect_location:
        target = shown(answer.headers["Location"])
        raise UploadError(
            f"{place} answered {status}: it sends on to {target}, which is not followed; name the "
            "service's own address with --url"
        )
    if status == 409:
        raise UploadError(
            f"{place} answered 409: the file is not what it was when the upload began; leave out "
            "--resume to send it anew"
        )
    text = shown(said.get("error", "") or answer.text)
    raise UploadError(f"{place} answered {status}, and expected was 202: {text}")


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
        places = {each["line"] - 1: (each["reason"], each.get("detail", "")) for each in errors}
        fits = accepted + rejected == len(parcel.items) and len(places) == rejected
        fits = fits and all(
            isinstance(place, int) and 0 <= place < len(parcel.items) for place in places
        )
    except (TypeError, KeyError):
        fits, places = False, {}
    if not fits:
        raise UploadError(
            f"{shown(str(answer.url))} answered {answer.status_code} without saying what became of "
            f"{len(parcel.items):,} articles: expected a daskingest service, found "
            f"{shown(answer.text) or 'nothing'}"
        )
    return Accepted({place: (shown(r), shown(d)) for place, (r, d) in places.items()}, replayed)


def _rejected(status: int, said: dict[str, Any]) -> Rejected:
    try:
        [first, *_] = said["rejected"]
        return Rejected(shown(first["reason"]), shown(first.get("detail", "")))
    except (TypeError, KeyError, ValueError):
        reason = "too large for the service" if status == 413 else "refused by the service"
        return Rejected(reason, shown(said.get("error", "")) or f"answered {status}")


def retry_after(header: str | None, now: datetime) -> float | None:
    """The seconds that a Retry-After asks for, in either of its forms (RFC 9110, 10.2.3)."""
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
    """What a service said, as a terminal may show it."""
    folded = " ".join(str(text).split())[:_LONGEST_TEXT]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in folded)
