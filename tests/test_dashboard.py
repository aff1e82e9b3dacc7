"""Dask's dashboard is there from the beginning, and loaded when somebody looks at it."""

from __future__ import annotations

import subprocess
import sys

import pytest

_LOOKS = """
import asyncio, sys
import httpx
from daskingest.pipeline.dashboard import SchedulerWithDashboard

async def main(first):
    async with SchedulerWithDashboard(protocol="inproc", dashboard_address="127.0.0.1:0") as dask:
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


@pytest.mark.parametrize("first", ["/status", "/", "/nothing"])
def test_it_is_loaded_when_somebody_looks(first: str) -> None:
    command = [sys.executable, "-c", _LOOKS, first]
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
