"""The pages over a store alone, for counts that are there already or are being made elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daskingest.extraction import entities_in
from daskingest.stores import Store
from daskingest.stores.reading import Readers
from daskingest.web.pages import PATHS, Ask, Found, Pages, static_file
from daskingest.web.problems import Problem, require_key

T = TypeVar("T")


class _Alone:
    """A `pages.Source` without a service. The model is loaded when an article is first tried."""

    def __init__(self, url: str, model: str) -> None:
        self.paid = url.startswith("firestore://")
        self._model = model
        self._readers = Readers(url)
        self._finder = ThreadPoolExecutor(1, "finder")

    async def read(self, work: Callable[[Store], T]) -> T:
        """See `Source.read`."""
        return await self._readers.read(work)

    async def entities(self, text: str) -> list[Found]:
        """See `Source.entities`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._finder, entities_in, text, self._model)

    def status(self) -> dict[str, Any] | None:
        """See `Source.status`."""
        return None

    def close(self) -> None:
        """End the threads."""
        self._readers.close()
        self._finder.shutdown(cancel_futures=True)


def create_explorer(url: str, model: str, keys: tuple[str, ...]) -> Starlette:
    """The application. Where there are keys, each page needs one, as HTTP Basic's password."""
    source = _Alone(url, model)
    pages = Pages(source)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        source.close()

    def ask(request: Request) -> Ask:
        async def body(most: int) -> bytes:
            parts = bytearray()
            async for part in request.stream():
                parts += part
                if len(parts) > most:
                    raise Problem(413, "the request is too large", "too large")
            return bytes(parts)

        return Ask(request.query_params, body)

    async def answer(request: Request) -> Response:
        try:
            require_key(request.headers, keys)
        except Problem as problem:
            return problem.response()
        if "view" in request.path_params:
            return await pages.download(**request.path_params, ask=ask(request))
        return await pages.answer(request.url.path, ask(request))

    async def static(request: Request) -> Response:
        return static_file(request.path_params["name"])

    routes = [
        Route(path, answer, methods=["GET", "POST"] if path == "/try" else ["GET"])
        for path in PATHS
    ]
    routes.append(Route("/download/{view}.{kind}", answer))
    routes.append(Route("/static/{name}", static))
    return Starlette(routes=routes, lifespan=lifespan)
