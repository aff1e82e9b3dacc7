"""How fast the service takes articles, against a route that only parses them; in one run."""

from __future__ import annotations

import asyncio
import csv
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from load import load, request
from program import Server, content, free_port, until

OVERLOAD_SECONDS = float(os.environ.get("DASKINGEST_OVERLOAD_SECONDS", "20"))

PARSE_ONLY = """
import json, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def parse(request):
    article = json.loads(await request.body())
    return JSONResponse({"accepted": 1}, 202)

app = Starlette(routes=[Route("/articles", parse, methods=["POST"])])
uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="critical")
"""


@pytest.fixture
def bodies(many_real_articles: Path) -> list[bytes]:
    csv.field_size_limit(1 << 30)
    with many_real_articles.open(newline="", encoding="utf-8") as file:
        rows = itertools.islice(csv.DictReader(file), 2_000)
        return [
            json.dumps({"content": row["article"], "publication": row["publication"]}).encode()
            for row in rows
            if row["article"]
        ]


@pytest.fixture
def parse_only() -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", PARSE_ONLY, str(port)])
    url = f"http://127.0.0.1:{port}/articles"

    def answers() -> bool:
        try:
            return httpx.post(url, json={}).is_success
        except httpx.HTTPError:
            return False

    until(answers)
    yield port
    process.kill()
    process.wait()


def forever(bodies: list[bytes]) -> Iterator[bytes]:
    requests = [request("/articles", each, "Content-Type: application/json") for each in bodies]
    return itertools.cycle(requests)


@pytest.mark.slow
def test_durable_requests_against_parsing_alone(
    tmp_path: Path, bodies: list[bytes], parse_only: int
) -> None:
    server = Server(tmp_path)
    try:
        server.wait_until_ready()
        rates: dict[str, list[float]] = {"durable": [], "parsing": []}
        for _ in range(3):
            for name, port in (("parsing", parse_only), ("durable", server.port)):
                rates[name].append(asyncio.run(load(port, forever(bodies), 64, 4)).rate)
        ratio = sum(rates["durable"]) / sum(rates["parsing"])
        print(f"requests/s: {rates}; ratio {ratio:.2f}")
        lines = b"\n".join(bodies * 10)
        started = time.perf_counter()
        headers = {"Content-Type": "application/x-ndjson"}
        url = server.url + "/articles"
        answer = httpx.post(url, content=lines, headers=headers, timeout=300).json()
        rate = answer["accepted"] / (time.perf_counter() - started)
        print(f"NDJSON: {rate:,.0f} articles/s, {len(lines) / 1e6:.0f} MB")
        assert answer == {"accepted": len(bodies) * 10, "rejected": 0, "errors": []}
        assert ratio > 0.1  # 0.5 on two cores that extract beside it
    finally:
        server.kill()


@pytest.mark.slow
def test_much_more_than_extraction_can_take(tmp_path: Path, bodies: list[bytes]) -> None:
    """Prints waits and memory; what was acknowledged is counted, however long that takes."""
    # What is in the spool at the end is counted in a few times as long as the load took.
    spool = ("--max-spool-bytes", str(int(1e6 * OVERLOAD_SECONDS)))
    server = Server(tmp_path, "--flush-interval", "2", "--workers", "2", *spool)
    try:
        server.wait_until_ready()
        result = asyncio.run(load(server.port, forever(bodies), 64, OVERLOAD_SECONDS))
        saved = server.status()["saved"]
        memory = sum(each.memory_info().rss for each in server.family())
        own = psutil.Process(server.process.pid).memory_info().rss
        print(
            f"{result.seconds:.0f} s: {result.statuses}, {result.rate:,.0f} accepted/s, "
            f"{saved / result.seconds:,.0f} counted/s; p50 {1000 * result.percentile(0.5):.0f} ms, "
            f"p99 {1000 * result.percentile(0.99):.0f} ms; the service has {own / 1e6:.0f} MB, "
            f"its workers {memory / 1e6:.0f} MB"
        )
        assert set(result.statuses) <= {202, 503}
        until(lambda: server.status()["spool"]["articles"] == 0, 60 + 20 * OVERLOAD_SECONDS)
        assert server.status()["saved"] == result.accepted
        assert sum(content(server.store)[0].values()) == result.accepted
    finally:
        server.kill()
