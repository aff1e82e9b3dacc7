"""What the service reports about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from daskingest.errors import StoreError
from daskingest.web.call import Call
from daskingest.web.openapi import document
from daskingest.web.responses import Json, varied

if TYPE_CHECKING:
    from daskingest.service.service import Service


class About:
    """Answers about a service: its state, and how to use it."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def status(self, call: Call) -> Response:
        """What comes in, what is counted, and the state of the workers."""
        return Json(self._service.status().to_json())

    async def healthz(self, call: Call) -> Response:
        """Whether the process is alive."""
        return Json({"status": "ok"})

    async def readyz(self, call: Call) -> Response:
        """Whether articles that arrive now are counted soon: 200, or 503 with the reason."""
        trouble = self._service.ready
        if not trouble:
            try:
                await self._service.read(lambda store: store.publication("-"))
            except StoreError as error:
                trouble = str(error)
        return Json({"status": trouble or "ready"}, 503 if trouble else 200)

    async def metrics(self, call: Call) -> Response:
        """The metrics, for Prometheus."""
        text = self._service.exposition()
        return Response(text, media_type="text/plain; version=0.0.4")

    async def openapi(self, call: Call) -> Response:
        """The OpenAPI document."""
        return varied(Json(document(self._service.settings, call.prefix)))
