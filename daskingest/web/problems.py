"""What a client is told when a request cannot be fulfilled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from daskingest.errors import DaskingestError, StoreError, UsageError
from daskingest.service.intake import Draining, KeyConflict, Refused
from daskingest.web.responses import Json

RETRY_SECONDS = 5
"""Seconds after which to try again what failed because of the store or the spool."""

_DRAINING_RETRY_SECONDS = 10


class Problem(Exception):
    """A request cannot be fulfilled. `error` says what was expected, what was found, what to do."""

    def __init__(
        self,
        status: int,
        error: str,
        reason: str,
        *,
        articles: int = 1,
        rejected: Sequence[Mapping[str, object]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.reason = reason
        """A fixed phrase, for counting."""
        self.up = ""
        """What links in the answer begin with, see `Call.up`."""
        self.articles = articles
        """How many articles of a submission are refused by it, as far as is known."""
        self.body: dict[str, object] = {"error": error}
        if rejected is not None:
            self.body["rejected"] = rejected
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer to a program."""
        return Json(self.body, self.status, headers=self.headers)


def unavailable(error: str, reason: str, retry_after: int, *, articles: int = 1) -> Problem:
    """A 503 with `Retry-After`, in seconds."""
    headers = {"Retry-After": str(retry_after)}
    return Problem(503, error, reason, articles=articles, headers=headers)


def problem_of(error: Exception) -> Problem | None:
    """What a client is told about an error; None for an unexpected error."""
    match error:
        case Problem():
            return error
        case Refused():
            return _refusal(error)
        case StoreError():
            return unavailable(f"{error}; try again later", "store", RETRY_SECONDS, articles=0)
        case UsageError():
            return Problem(404, str(error), "unknown", articles=0)
        case DaskingestError():
            return Problem(503, str(error), "failed", articles=0)
    return None


def _refusal(refused: Refused) -> Problem:
    """What a client is told whose articles were refused."""
    text, reason, articles = str(refused), refused.reason, refused.articles
    if isinstance(refused, KeyConflict):
        return Problem(409, text, reason, articles=articles)
    retry = _DRAINING_RETRY_SECONDS if isinstance(refused, Draining) else RETRY_SECONDS
    return unavailable(text, reason, retry, articles=articles)
