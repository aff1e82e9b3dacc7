"""Endpoints: what is between the server and a handler: keys, errors, request ids, metrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from daskingest.web.call import Call
from daskingest.web.keys import require_key
from daskingest.web.problems import Problem, problem_of
from daskingest.web.responses import secured

log = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[Response]]


class Recorder(Protocol):
    """Records answers; `service.metrics.Metrics` is one."""

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""

    def rejected(self, reason: str, articles: int) -> None:
        """Articles were not accepted."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who reads the answers of a route."""

    problem: Callable[[Problem], Response]
    """The answer to a problem."""
    in_browsers: bool = False
    """Whether answers have the headers that restrict what a page may load and run."""


PROGRAMS = Audience(Problem.response)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A route's ASGI application: checks method and key, answers, and records the answer.

    The one place where errors become answers. Starlette's own wrapping of handlers would take as
    long again as accepting an article does.
    """

    route: str
    """The route's name in the metrics."""
    handler: Handler
    methods: tuple[str, ...] = ()
    """The HTTP methods that it answers; empty: all."""
    keys: tuple[str, ...] = ()
    """One of these keys is needed; empty: no key is."""
    audience: Audience = PROGRAMS
    submits: bool = False
    """Whether requests submit articles, so that refused ones are recorded as rejected."""
    recorder: Recorder | None = None
    allow_origin: str = ""
    """Whose pages may read the answers in a browser: an origin, or `*`; empty: only our own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started = time.perf_counter()
        call = Call(scope, receive)
        request_id = call.request_id()
        listed = call.method in self.methods
        try:
            if self.methods and not listed:
                raise _wrong_method(call.method, self.methods)
            require_key(call.headers, self.keys)
            response = await self.handler(call)
        except Exception as error:
            response = self._failed(error, call, request_id)
        if self.audience.in_browsers:
            secured(response)
        response.raw_headers.append((b"x-request-id", request_id.encode()))
        if self.allow_origin:
            origin = self.allow_origin.encode()
            response.raw_headers.append((b"access-control-allow-origin", origin))
        await response(scope, receive, send)
        if self.recorder is not None:
            # Clients can send anything as a method, and each would be a new series.
            method = call.method if listed else "other"
            seconds = time.perf_counter() - started
            self.recorder.answered(self.route, method, response.status_code, seconds)

    def _failed(self, error: Exception, call: Call, request_id: str) -> Response:
        problem = problem_of(error)
        if problem is None:
            log.exception("request failed", extra={"request": request_id, "path": call.path})
            text = f"the service failed to answer this request; see its log for {request_id}"
            problem = Problem(500, text, "failed", articles=0)
        problem.up = call.up
        if self.submits and self.recorder is not None and problem.articles:
            self.recorder.rejected(problem.reason, problem.articles)
        return self.audience.problem(problem)


def _wrong_method(found: str, methods: tuple[str, ...]) -> Problem:
    allowed = ", ".join(methods)
    return Problem(
        405,
        f"expected the method {allowed}, found {found}",
        "wrong method",
        articles=0,
        headers={"Allow": allowed},
    )
