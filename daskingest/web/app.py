"""The Starlette application: its routes, and the lifespan that owns the service."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from daskingest.articles import publication_key
from daskingest.errors import StoreError
from daskingest.service.service import Service, open_service
from daskingest.service.spool import Answer, Key, KeyReused, SpoolError, size_of
from daskingest.settings import ServeSettings
from daskingest.stores import Publication, Store
from daskingest.web.cursors import from_cursor, to_cursor
from daskingest.web.intake import (
    JSON_TYPE,
    Body,
    Lines,
    articles_of_lines,
    digest_of,
    json_articles,
    media_type,
)
from daskingest.web.openapi import MAX_COUNT, document
from daskingest.web.pages import PATHS, Ask, Pages, static_file
from daskingest.web.problems import Json, Problem, require_key, unavailable

_HELD_BYTES = 256 << 20  # of JSON bodies that are being read, all together
_FULL_RETRY, _DRAINING_RETRY, _BUSY_RETRY = 5, 10, 1  # seconds
_PAGE, _MOST = 50, 1_000  # words
_OLD_PAGE = 10
_REQUEST_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)

log = logging.getLogger(__name__)

Handler = Callable[["_Call"], Awaitable[Response]]


class _Anything(StringConvertor):
    """A publication's name in a path: it may hold slashes, and even line breaks."""

    regex = r"[\s\S]*"


register_url_convertor("anything", _Anything())


def create_app(settings: ServeSettings, started: Callable[[Service], None]) -> Starlette:
    """The application. `started` is told of the service when it is ready to take articles."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_service(settings) as service:
            app.state.service, app.state.pages = service, Pages(service)
            started(service)
            yield

    def route(path: str, handler: Handler, *methods: str, access: str = "read") -> Route:
        keys = settings.keys if access == "write" or settings.private else ()
        endpoint = _Endpoint(path, handler, () if access == "none" else keys)
        return Route(path, endpoint, methods=[*methods])

    routes = [
        route("/articles", _post_articles, "POST", access="write"),
        route("/post/enqueue", _post_enqueue, "POST", access="write"),
        route("/publications", _publications, "GET"),
        route("/frequencies/{publication:anything}", _frequencies, "GET"),
        route("/publications/{publication:anything}/entities", _entities, "GET"),
        route("/status", _status, "GET"),
        route("/healthz", _healthz, "GET", access="none"),
        route("/readyz", _readyz, "GET", access="none"),
        route("/metrics", _metrics, "GET"),
        route("/openapi.json", _openapi, "GET", access="none"),
        *(route(path, _page, "GET") for path in PATHS if path != "/try"),
        route("/try", _page, "GET", "POST"),
        route("/download/{view}.{kind}", _download, "GET"),
        route("/static/{name}", _static, "GET", access="none"),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={HTTPException: _on_http},
    )
    app.router.redirect_slashes = False
    return app


class _Endpoint:
    """A route's ASGI application: checks the key, answers, and counts what was answered.

    Starlette's own wrapping of handlers would cost as much again as taking an article does.
    """

    def __init__(self, path: str, handler: Handler, keys: tuple[str, ...]) -> None:
        self._path, self._handler, self._keys = path, handler, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started = time.perf_counter()
        service: Service = scope["app"].state.service
        call = _Call(scope, receive, service)
        request_id = call.request_id()
        try:
            require_key(call.headers, self._keys)
            response = await self._handler(call)
        except Problem as problem:
            response = problem.response()
            if scope["method"] == "POST":
                service.metrics.rejected(problem.reason, problem.articles)
        except StoreError as error:
            response = unavailable(f"{error}; try again later", "store", _FULL_RETRY).response()
        except ClientDisconnect:
            response = Json({"error": "the connection ended before the body did"}, 400)
        except Exception:
            log.exception("request failed", extra={"request": request_id, "path": scope["path"]})
            error_text = f"the service failed at this request; its log has it under {request_id}"
            response = Json({"error": error_text}, 500)
        response.raw_headers.append((b"x-request-id", request_id.encode()))
        await response(scope, receive, send)
        seconds = time.perf_counter() - started
        service.metrics.answered(self._path, scope["method"], response.status_code, seconds)


class _Call:
    """A request, and the service it is for."""

    def __init__(self, scope: Scope, receive: Receive, service: Service) -> None:
        self.scope = scope
        self.receive = receive
        self.service = service
        self.settings = service.settings
        self.headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}

    @property
    def query(self) -> QueryParams:
        """The query's parameters."""
        return QueryParams(self.scope["query_string"])

    @property
    def publication(self) -> str:
        """The key of the publication in the path."""
        name: str = self.scope["path_params"]["publication"]
        return publication_key(name)

    def request_id(self) -> str:
        """The one that was sent, or a new one."""
        sent = self.headers.get("x-request-id")
        if sent is not None and _REQUEST_ID.fullmatch(sent):
            return str(sent)
        return f"{random.getrandbits(64):016x}"  # tells requests apart, no more

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A query parameter."""
        text = self.query.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII) or not least <= int(text) <= most:
            raise Problem(
                422,
                f"expected {name} to be a whole number from {least} to {most}, found {text[:50]!r}",
                "wrong parameter",
            )
        return int(text)

    def key(self) -> str | None:
        """The idempotency key."""
        key = self.headers.get("idempotency-key")
        if key is not None and not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
            raise Problem(
                400,
                "expected an Idempotency-Key of 1 to 255 visible ASCII characters, "
                f"found {len(key)} characters",
                "wrong idempotency key",
            )
        return key

    def check_room(self, more: int = 0) -> None:
        """Raise a Problem when articles of so many bytes can't be taken now."""
        if self.service.draining:
            raise unavailable(
                "the service is shutting down; try again when it is back",
                "draining",
                _DRAINING_RETRY,
            )
        if self.service.full(more):
            asked = f", and these are {more:,} more" if more else ""
            raise unavailable(
                f"the spool is full: {self.service.spool.bytes:,} of "
                f"{self.settings.max_spool_bytes:,} bytes wait to be counted{asked}; "
                "try again later",
                "spool full",
                _FULL_RETRY,
            )

    def ask(self) -> Ask:
        """What a page needs of it."""

        async def body(most: int) -> bytes:
            parts, reader = bytearray(), Body(self.headers, self.receive, most)
            while part := await reader.read():
                parts += part
            return bytes(parts)

        return Ask(self.query, body)

    async def json_body(self) -> bytes:
        """The body, held in memory. There is a limit to what all requests may hold."""
        state = self.scope["app"].state
        parts: list[bytes] = []
        mine = 0
        try:
            body = Body(self.headers, self.receive, self.settings.max_body_bytes)
            while part := await body.read():
                parts.append(part)
                mine += len(part)
                state.held = getattr(state, "held", 0) + len(part)
                if state.held > _HELD_BYTES:
                    raise unavailable(
                        "too many large requests at once; try again", "busy", _BUSY_RETRY
                    )
        finally:
            state.held = getattr(state, "held", 0) - mine
        return b"".join(parts)


async def _post_articles(call: _Call) -> Response:
    call.check_room()
    kind = media_type(call.headers)
    key = call.key()
    answer = await (_take_json(call, key) if kind == JSON_TYPE else _take_lines(call, key))
    return _answer(answer, 202)


async def _post_enqueue(call: _Call) -> Response:
    """The older clients' call: one article."""
    call.check_room()
    key = call.key()
    if media_type(call.headers) != JSON_TYPE:
        raise Problem(415, f"expected a Content-Type of {JSON_TYPE}", "wrong type")
    return _answer(await _take_json(call, key, single=True), 201)


def _answer(answer: Answer, status: int) -> Response:
    headers = {"Idempotent-Replayed": "true"} if answer.repeated else None
    return Json(answer.body, status, headers=headers)


async def _take_json(call: _Call, key: str | None, single: bool = False) -> Answer:
    body = await call.json_body()
    if single and body.lstrip()[:1] == b"[":
        raise Problem(422, "expected one object, found an array", "not an object", rejected=[])
    articles = await json_articles(body, call.settings)
    call.check_room(sum(map(size_of, articles)))
    with _spooling():
        return await call.service.accept(articles, Key(key, digest_of(body)) if key else None)


async def _take_lines(call: _Call, key: str | None) -> Answer:
    """An upload of lines: put on disk while it comes in, taken together at its end."""
    service, spool = call.service, call.service.spool
    upload, lines, digest = spool.begin_upload(), Lines(), hashlib.sha256()
    staged = False
    try:
        body = Body(call.headers, call.receive, call.settings.max_upload_bytes)
        async for articles in articles_of_lines(body, call.settings, lines, digest):
            call.check_room(sum(map(size_of, articles)))
            with _spooling():
                staged = True
                await spool.stage(upload, articles)
        with _spooling():
            its_key = Key(key, digest.hexdigest()) if key else None
            answer = await spool.finish(upload, lines.answer(), its_key)
    except BaseException:
        if staged:
            with contextlib.suppress(SpoolError):
                await spool.discard(upload)
        raise
    service.taken(lines.accepted, answer)
    if not answer.repeated:
        for reason, count in lines.reasons.items():
            service.metrics.rejected(reason, count)
    return answer


@contextlib.contextmanager
def _spooling() -> Any:
    try:
        yield
    except KeyReused:
        raise Problem(
            409,
            "this Idempotency-Key came with another body before; use a new key for a new request",
            "idempotency key used before",
        ) from None
    except SpoolError as error:
        raise unavailable(f"{error}; nothing was taken", "spool failed", _FULL_RETRY) from None


async def _publications(call: _Call) -> Response:
    found = await call.service.read(lambda store: store.publications())
    return Json([{"name": each.name, "count": each.count} for each in found])


async def _frequencies(call: _Call) -> Response:
    """The older clients' paging: ten words behind the given one."""
    key = call.publication
    given = call.query
    if ("word" in given) != ("count" in given):
        raise Problem(
            422,
            "expected both word and count, of the last word seen, or neither; found one",
            "wrong parameter",
        )
    after = None
    if given.get("count"):  # empty: from the first word on
        after = (call.number("count", 0, 0, MAX_COUNT), given["word"])
    found = await call.service.read(lambda store: store.words(key, _OLD_PAGE, after))
    return Json([{"word": each.word, "count": each.count} for each in found])


async def _entities(call: _Call) -> Response:
    key = call.publication
    limit = call.number("limit", _PAGE, 1, _MOST)
    label = call.query.get("label")
    cursor = call.query.get("after")
    after = None if cursor is None else from_cursor(cursor)

    def look(store: Store) -> tuple[Publication | None, list[Any]]:
        mine = store.publication(key)
        if mine is None:
            return None, []
        return mine, store.words(key, limit + 1, after, label.upper() if label else None)

    publication, words = await call.service.read(look)
    if publication is None:
        raise Problem(404, f"no publication {key[:100]!r}; GET /publications lists them", "unknown")
    following = None
    if len(words) > limit:
        words.pop()
        following = to_cursor(words[-1].count, words[-1].word)
    return Json(
        {
            "publication": {"name": publication.name, "count": publication.count},
            "entities": [{"word": w.word, "count": w.count, "labels": w.labels} for w in words],
            "next": following,
        }
    )


async def _status(call: _Call) -> Response:
    return Json(call.service.status())


async def _healthz(call: _Call) -> Response:
    return Json({"status": "ok"})


async def _readyz(call: _Call) -> Response:
    trouble = call.service.ready
    if not trouble:
        try:
            await call.service.read(lambda store: store.ledger("-"))
        except StoreError as error:
            trouble = str(error)
    return Json({"status": trouble or "ready"}, 503 if trouble else 200)


async def _metrics(call: _Call) -> Response:
    call.service.metrics.in_flight.set(call.service.in_flight[1])
    return Response(call.service.metrics.text(), media_type="text/plain; version=0.0.4")


async def _openapi(call: _Call) -> Response:
    return Json(document(call.settings))


async def _page(call: _Call) -> Response:
    pages: Pages = call.scope["app"].state.pages
    return await pages.answer(call.scope["path"], call.ask())


async def _download(call: _Call) -> Response:
    pages: Pages = call.scope["app"].state.pages
    return await pages.download(**call.scope["path_params"], ask=call.ask())


async def _static(call: _Call) -> Response:
    return static_file(call.scope["path_params"]["name"])


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        text = f"nothing at {request.url.path[:200]!r}; /openapi.json lists what there is"
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        text = f"expected the method {allowed}, found {request.method}"
    else:
        text = str(error.detail)
    return Json({"error": text}, error.status_code, headers=error.headers)
