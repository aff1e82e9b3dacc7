"""From requests to articles in the spool: all of a request's, once, or none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from daskingest.service.intake import Intake
from daskingest.service.metrics import Metrics
from daskingest.service.spool import Spool
from daskingest.settings import ServeSettings
from daskingest.web.endpoint import Endpoint
from daskingest.web.submit import Submissions

GOOD = {"content": "Angela Merkel met Barack Obama.", "publication": "P"}
LINES = {"Content-Type": "application/x-ndjson"}


class Bench:
    """The routes that take articles, over a real spool without workers."""

    def __init__(self, folder: Path, max_spool_bytes: int) -> None:
        self.spool = Spool(folder)
        self.metrics = Metrics(0)
        self.intake = Intake(self.spool, self.metrics, max_spool_bytes, lambda: None)
        service: Any = SimpleNamespace(intake=self.intake, settings=ServeSettings())
        submissions = Submissions(service)
        handlers = {"/articles": submissions.post_articles, "/one": submissions.post_enqueue}
        app = Starlette(routes=[self.route(path, handler) for path, handler in handlers.items()])
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")

    def route(self, path: str, handler: Any) -> Route:
        endpoint = Endpoint(route=path, handler=handler, submits=True, recorder=self.metrics)
        return Route(path, endpoint)

    @property
    def counted(self) -> tuple[int, int, dict[str, int]]:
        metrics = self.metrics
        return metrics.accepted, metrics.duplicates, dict(metrics.rejects)


def with_bench(
    folder: Path, work: Callable[[Bench], Awaitable[None]], max_spool_bytes: int = 1 << 30
) -> None:
    async def go() -> None:
        bench = Bench(folder, max_spool_bytes)
        with closing(bench.spool):
            async with bench.http:
                await work(bench)

    asyncio.run(go())


def test_articles_in_json(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        answer = await bench.http.post("/articles", json=[GOOD, GOOD])
        assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
        answer = await bench.http.post("/one", json=GOOD)
        assert (answer.status_code, answer.json()) == (201, {"accepted": 1})
        answer = await bench.http.post("/one", json=[GOOD])
        assert answer.status_code == 422
        assert (bench.spool.articles, bench.counted) == (3, (3, 0, {"not an object": 1}))

    with_bench(tmp_path, work)


def test_a_key_counts_once(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        lines = "\n".join(map(json.dumps, (GOOD, {}, GOOD)))
        requests: list[dict[str, Any]] = [
            {"json": [GOOD], "headers": {"Idempotency-Key": "a"}},
            {"content": lines, "headers": {"Idempotency-Key": "b", **LINES}},
        ]
        for request in requests:
            first = await bench.http.post("/articles", **request)
            again = await bench.http.post("/articles", **request)
            assert (first.status_code, again.status_code) == (202, 202)
            assert first.content == again.content
            assert again.headers["Idempotent-Replayed"] == "true"
            assert "Idempotent-Replayed" not in first.headers
        assert (bench.spool.articles, bench.counted) == (3, (3, 3, {"no content": 1}))
        other: dict[str, Any] = {"json": [GOOD, GOOD], "headers": {"Idempotency-Key": "a"}}
        answer = await bench.http.post("/articles", **other)
        assert answer.status_code == 409
        assert bench.counted[2]["idempotency key used before"] == 2

    with_bench(tmp_path, work)


def test_a_large_upload_of_lines_is_taken_whole_or_not(tmp_path: Path) -> None:
    line = json.dumps({**GOOD, "content": "word " * 2_000}).encode() + b"\n"

    async def work(bench: Bench) -> None:
        answer = await bench.http.post("/articles", content=line * 200, headers=LINES)
        assert answer.json() == {"accepted": 200, "rejected": 0, "errors": []}
        assert (bench.spool.articles, bench.spool.waiting) == (200, 200)
        answer = await bench.http.post("/articles", content=line * 400, headers=LINES)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "the spool is full" in answer.json()["error"]
        assert (bench.spool.articles, bench.spool.waiting) == (200, 200)
        accepted, _, rejects = bench.counted
        assert accepted == 200
        assert rejects["spool full"] > 1

    with_bench(tmp_path, work, max_spool_bytes=4_000_000)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"content": 1}'])
def test_who_drains_asks_for_nothing(tmp_path: Path, body: bytes) -> None:
    async def work(bench: Bench) -> None:
        bench.intake.draining = True
        headers = {"Content-Type": "application/json"}
        answer = await bench.http.post("/articles", content=body, headers=headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert bench.counted == (0, 0, {"draining": 1})

    with_bench(tmp_path, work)


def test_all_bad_articles_are_counted(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        answer = await bench.http.post("/articles", json=[{}] * 1_500)
        assert (answer.status_code, len(answer.json()["rejected"])) == (422, 1_000)
        assert bench.counted == (0, 0, {"no content": 1_500})

    with_bench(tmp_path, work)
