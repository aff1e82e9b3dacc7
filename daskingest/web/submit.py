"""`POST /articles` and `POST /post/enqueue`: from a request to articles on disk.

All that is asked of the service's intake is asked here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from starlette.responses import Response

from daskingest.articles import Article
from daskingest.service.spool import Answer, Key, KeyReused, SpoolError, size_of
from daskingest.web.body import Body, media_type
from daskingest.web.call import Call
from daskingest.web.json_articles import articles_of_json
from daskingest.web.ndjson import Lines
from daskingest.web.problems import RETRY_SECONDS, Problem, unavailable
from daskingest.web.responses import JSON_TYPE, Json

if TYPE_CHECKING:
    from daskingest.service.service import Service

_HELD_BYTES = 256 << 20  # of JSON bodies that are being read, all together
_ON_THE_LOOP = 1 << 16  # bytes of JSON that are parsed without another thread
_PIECE = 1 << 18  # bytes of lines that are parsed together
_DRAINING_RETRY, _BUSY_RETRY = 10, 1  # seconds

T = TypeVar("T")


class _Parsed(NamedTuple):
    """The articles of a body or of a part of it, and what they take in the spool, in bytes."""

    articles: list[Article]
    size: int


class Submissions:
    """Takes articles for a service. What was answered with success is on disk."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = service.settings
        self._held = 0

    async def post_articles(self, call: Call) -> Response:
        """One article, an array of them, or one a line."""
        self._check_room()
        kind = media_type(call.headers)
        key = call.idempotency_key()
        take = self._take_json if kind == JSON_TYPE else self._take_lines
        return _answered(await take(call, key), 202)

    async def post_enqueue(self, call: Call) -> Response:
        """The older clients' call: one article."""
        self._check_room()
        key = call.idempotency_key()
        if media_type(call.headers) != JSON_TYPE:
            raise Problem(415, f"expected a Content-Type of {JSON_TYPE}", "wrong type")
        return _answered(await self._take_json(call, key, single=True), 201)

    async def _take_json(self, call: Call, key: str | None, single: bool = False) -> Answer:
        parts = await self._whole_body(call)
        most = self._settings.max_article_bytes

        def parse() -> tuple[_Parsed, Key | None]:
            body = b"".join(parts)
            parsed = _parsed(articles_of_json(body, most, single))
            return parsed, Key(key, hashlib.sha256(body).hexdigest()) if key else None

        parsed, its_key = await _off_the_loop(parse, sum(map(len, parts)))
        self._check_room(parsed.size)
        with _spooling():
            return await self._service.accept(parsed.articles, its_key)

    async def _whole_body(self, call: Call) -> Sequence[bytes]:
        """The body, held in memory. There is a limit to what all requests may hold."""
        parts: list[bytes] = []
        mine = 0
        try:
            body = Body(call.headers, call.receive, self._settings.max_body_bytes)
            while part := await body.read():
                parts.append(part)
                mine += len(part)
                self._held += len(part)
                if self._held > _HELD_BYTES:
                    raise unavailable(
                        "too many large requests at once; try again", "busy", _BUSY_RETRY
                    )
        finally:
            self._held -= mine
        return parts

    async def _take_lines(self, call: Call, key: str | None) -> Answer:
        """An upload of lines: put on disk while it comes in, taken together at its end."""
        spool, lines = self._service.spool, Lines(self._settings.max_article_bytes)
        upload = spool.begin_upload()
        staged = False
        try:
            body = Body(call.headers, call.receive, self._settings.max_upload_bytes)
            while not body.ended:
                parsed = await _parse_piece(body, lines)
                self._check_room(parsed.size)
                with _spooling():
                    staged = True
                    await spool.stage(upload, parsed.articles)
            with _spooling():
                its_key = Key(key, lines.digest) if key else None
                answer = await spool.finish(upload, lines.answer(), its_key)
        except BaseException:
            if staged:
                with suppress(SpoolError):
                    await spool.discard(upload)
            raise
        self._taken(lines, answer)
        return answer

    def _taken(self, lines: Lines, answer: Answer) -> None:
        self._service.taken(lines.accepted, answer)
        if not answer.repeated:
            for reason, count in lines.reasons.items():
                self._service.metrics.rejected(reason, count)

    def _check_room(self, more: int = 0) -> None:
        """Raise a Problem when articles of so many bytes can't be taken now."""
        if self._service.draining:
            raise unavailable(
                "the service is shutting down; try again when it is back",
                "draining",
                _DRAINING_RETRY,
            )
        if self._service.full(more):
            asked = f", and these are {more:,} more" if more else ""
            raise unavailable(
                f"the spool is full: {self._service.spool.bytes:,} of "
                f"{self._settings.max_spool_bytes:,} bytes wait to be counted{asked}; "
                "try again later",
                "spool full",
                RETRY_SECONDS,
            )


async def _parse_piece(body: Body, lines: Lines) -> _Parsed:
    piece = await body.piece(_PIECE)
    return await _off_the_loop(lambda: _parsed(lines.feed(piece, body.ended)), len(piece))


def _parsed(articles: list[Article]) -> _Parsed:
    return _Parsed(articles, sum(map(size_of, articles)))


async def _off_the_loop(work: Callable[[], T], size: int) -> T:
    """Do work on so many bytes, on another thread where it would keep other requests waiting."""
    return work() if size <= _ON_THE_LOOP else await asyncio.to_thread(work)


@contextmanager
def _spooling() -> Iterator[None]:
    try:
        yield
    except KeyReused:
        raise Problem(
            409,
            "this Idempotency-Key came with another body before; use a new key for a new request",
            "idempotency key used before",
        ) from None
    except SpoolError as error:
        raise unavailable(f"{error}; nothing was taken", "spool failed", RETRY_SECONDS) from None


def _answered(answer: Answer, status: int) -> Response:
    headers = {"Idempotent-Replayed": "true"} if answer.repeated else None
    return Json(answer.body, status, headers=headers)
