"""The static files of the pages."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import FileResponse, Response

from daskingest.web.call import Call
from daskingest.web.problems import Problem
from daskingest.web.responses import secured

_FOLDER = Path(__file__).parent / "static"
_FILES = {each.name: each for each in _FOLDER.iterdir()}


async def static_file(call: Call) -> Response:
    """One of the files."""
    path = _FILES.get(call.path_parameter("name"))
    if path is None:
        raise Problem(404, "there is no such file", "unknown")
    return secured(FileResponse(path, headers={"Cache-Control": "max-age=3600"}))
