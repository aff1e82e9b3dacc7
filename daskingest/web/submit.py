"""`POST /articles` and `POST /post/enqueue`: from a request to articles on disk.

Only this module uses the service's intake.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from starlette.responses import Response

from daskingest.service.answers import Answer, IdempotencyKey
from daskingest.service.intake import SizedArticles, Submission
from daskingest.web.body import Body, media_type
from daskingest.web.call import Call
from daskingest.web.json_articles import articles_of_json
from daskingest.web.ndjson import NdjsonReader
from daskingest.web.problems import Problem, unavailable
from daskingest.web.responses import JSON_TYPE, Json

if TYPE_CHECKING:
    from daskingest.service.service import Service

_HELD_BYTES = 256 << 20  # of all JSON bodies that are being read
_ON_THE_LOOP = 1 << 16  # bytes of JSON that are parsed on the event loop
_PIECE = 1 << 18  # bytes of NDJSON that are parsed together
_BUSY_RETRY = 1  # seconds

T = TypeVar("T")


class Submissions:
    """Accepts articles for a service. Once a request has succeeded, its articles are on disk."""

    def __init__(self, service: Service) -> None:
        self._intake = service.intake
        self._settings = service.settings
        self._held = 0

    async def post_articles(self, call: Call) -> Response:
        """One article, an array of them, or one per line."""
        async with self._intake.submission() as submission:
            kind = media_type(call.headers)
            key = call.idempotency_key()
            take = self._take_json if kind == JSON_TYPE else self._take_lines
            return _answered(await take(call, submission, key), 202)

    async def post_enqueue(self, call: Call) -> Response:
        """The request of older clients: one article."""
        async with self._intake.submission() as submission:
            key = call.idempotency_key()
            if media_type(call.headers) != JSON_TYPE:
                raise Problem(415, f"expected a Content-Type of {JSON_TYPE}", "wrong type")
            return _answered(await self._take_json(call, submission, key, single=True), 201)

    async def _take_json(
        self, call: Call, submission: Submission, key: str | None, single: bool = False
    ) -> Answer:
        parts = await self._whole_body(call)
        max_bytes = self._settings.max_article_bytes

        def parse() -> tuple[SizedArticles, IdempotencyKey | None]:
            body = b"".join(parts)
            part = SizedArticles.of(articles_of_json(body, max_bytes, single))
            return part, IdempotencyKey(key, hashlib.sha256(body).hexdigest()) if key else None

        part, its_key = await _off_the_loop(parse, sum(map(len, parts)))
        await submission.stage(part)
        return await submission.accept({"accepted": len(part.articles)}, its_key)

    async def _whole_body(self, call: Call) -> Sequence[bytes]:
        """The body, in memory. There is a limit on the bodies of all requests together."""
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

    async def _take_lines(self, call: Call, submission: Submission, key: str | None) -> Answer:
        """Lines of JSON: put on disk as they arrive, and accepted together at the end."""
        lines = NdjsonReader(self._settings.max_article_bytes)
        body = Body(call.headers, call.receive, self._settings.max_upload_bytes)
        while not body.ended:
            await submission.stage(await _parse_piece(body, lines))
        its_key = IdempotencyKey(key, lines.digest) if key else None
        return await submission.accept(lines.answer(), its_key, lines.reasons)


async def _parse_piece(body: Body, lines: NdjsonReader) -> SizedArticles:
    piece = await body.piece(_PIECE)
    return await _off_the_loop(lambda: SizedArticles.of(lines.feed(piece, body.ended)), len(piece))


async def _off_the_loop(work: Callable[[], T], size: int) -> T:
    """Do work on so many bytes, on another thread if it would block other requests."""
    return work() if size <= _ON_THE_LOOP else await asyncio.to_thread(work)


def _answered(answer: Answer, status: int) -> Response:
    headers = {"Idempotent-Replayed": "true"} if answer.repeated else None
    return Json(answer.body, status, headers=headers)
