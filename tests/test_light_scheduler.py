"""The scheduler: its dashboard is there from the beginning, and loaded when somebody looks at it;
it gets a heartbeat of each worker every two seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from daskingest.pipeline.light_scheduler import HEARTBEAT_INTERVAL

_LOOKS = """
import asyncio, sys
import httpx
from daskingest.pipeline.light_scheduler import LightScheduler

async def main(first):
    async with LightScheduler(protocol="inproc", dashboard_address="127.0.0.1:0") as dask:
        url = f"http://127.0.0.1:{dask.services['dashboard'].port}"
        async with httpx.AsyncClient(base_url=url) as browser:
            assert (await browser.get("/health")).text == "ok"
            assert (await browser.get("/sitemap.json")).is_success
            assert "bokeh" not in sys.modules
            await browser.get(first)
            assert "bokeh" in sys.modules
            assert (await browser.get("/")).next_request.url.path == "/status"
            assert "bokeh" in (await browser.get("/individual-task-stream")).text.lower()
            for path in ("/status", "/statics/css/base.css", "/health"):
                assert (await browser.get(path)).is_success, path
            assert (await browser.get("/nothing")).status_code == 404

asyncio.run(main(sys.argv[1]))
"""

_FAILS_AT_FIRST = """
import asyncio, contextlib
import httpx
import distributed.dashboard.scheduler as pages
from daskingest.pipeline.light_scheduler import LightScheduler

connect = pages.connect

def fails(*args):
    pages.connect = connect
    raise MemoryError

async def main():
    pages.connect = fails
    async with LightScheduler(protocol="inproc", dashboard_address="127.0.0.1:0") as dask:
        url = f"http://127.0.0.1:{dask.services['dashboard'].port}"
        async with httpx.AsyncClient(base_url=url) as browser:
            with contextlib.suppress(httpx.HTTPError):
                assert (await browser.get("/status")).is_server_error
            assert pages.connect is connect
            for path in ("/health", "/status"):
                assert (await browser.get(path)).is_success, path

asyncio.run(main())
"""

_HAS_A_HEARTBEAT = """
import asyncio
from distributed import Worker
from daskingest.pipeline.light_scheduler import LightScheduler

async def main():
    async with LightScheduler(protocol="inproc", dashboard_address="127.0.0.1:0") as scheduler:
        async with Worker(scheduler.address) as worker:
            beats = worker.periodic_callbacks["heartbeat"]
            beats.stop()  # of its own accord it would have one now and then
            beats.callback_time = 0
            await worker.heartbeat()
            print(beats.callback_time)

asyncio.run(main())
"""


@pytest.mark.parametrize("first", ["/status", "/", "/nothing"])
def test_it_is_loaded_when_somebody_looks(first: str) -> None:
    found = _run(_LOOKS, first)
    assert found.returncode == 0, found.stderr


def test_it_is_loaded_later_if_it_could_not_be_at_first() -> None:
    found = _run(_FAILS_AT_FIRST)
    assert found.returncode == 0, found.stderr


def test_a_worker_has_a_heartbeat_every_two_seconds() -> None:
    found = _run(_HAS_A_HEARTBEAT)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) == 1000 * HEARTBEAT_INTERVAL


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)
