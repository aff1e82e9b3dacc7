"""The application: what is served under which path, and to whom."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from daskingest.settings import ServeSettings
from daskingest.web.about import About
from daskingest.web.call import Call
from daskingest.web.endpoint import PROGRAMS, Audience, Endpoint, Handler, Recorder
from daskingest.web.pages import Pages
from daskingest.web.prefix import Prefixed, root_path_of
from daskingest.web.problems import Problem
from daskingest.web.read import Queries
from daskingest.web.static import static_file
from daskingest.web.store_alone import StoreAlone
from daskingest.web.submit import Submissions

if TYPE_CHECKING:
    from daskingest.service.service import Service

_GET = ("GET", "HEAD")


class _Anything(StringConvertor):
    """A publication's name in a path: it may contain slashes, and even line breaks."""

    regex = r"[\s\S]*"


register_url_convertor("anything", _Anything())


def create_app(
    settings: ServeSettings, backend: AbstractAsyncContextManager[Service | StoreAlone]
) -> Starlette:
    """The application over a backend, which it opens when it starts and closes when it ends.

    Over a service it has all routes. Over a store alone it has the pages and what they load, and
    reading needs a key if there are keys, as if the settings were private.

    Raises UsageError if the settings' root path is not a path.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with backend as opened:
            if isinstance(opened, StoreAlone):
                app.router.routes, otherwise = _alone(settings, opened)
            else:
                app.router.routes, otherwise = _serving(settings, opened)
            app.router.default = _unless_websocket(otherwise)
            yield

    prefix = root_path_of(settings.root_path)
    under = [Middleware(Prefixed, prefix=prefix)] if prefix else []
    app = Starlette(lifespan=lifespan, middleware=under)
    app.router.redirect_slashes = False
    return app


@dataclass(frozen=True, slots=True)
class _Paths:
    """Makes routes. `writers` and `readers` are the keys for writing and reading; empty: no key."""

    writers: tuple[str, ...]
    readers: tuple[str, ...]
    recorder: Recorder | None
    allow_origin: str = ""

    def submit(self, path: str, handler: Handler) -> Route:
        """A path that accepts articles."""
        endpoint = Endpoint(
            route=path,
            handler=handler,
            methods=("POST",),
            keys=self.writers,
            submits=True,
            recorder=self.recorder,
        )
        return Route(path, endpoint)

    def read(
        self,
        path: str,
        handler: Handler,
        audience: Audience = PROGRAMS,
        methods: tuple[str, ...] = _GET,
    ) -> Route:
        """A path that shows what has been counted."""
        endpoint = Endpoint(
            route=path,
            handler=handler,
            methods=methods,
            keys=self.readers,
            audience=audience,
            recorder=self.recorder,
            allow_origin=self.allow_origin if methods == _GET else "",
        )
        return Route(path, endpoint)

    def open(self, path: str, handler: Handler) -> Route:
        """A path that never needs a key."""
        endpoint = Endpoint(route=path, handler=handler, methods=_GET, recorder=self.recorder)
        return Route(path, endpoint)

    def others(self, handler: Handler, audience: Audience = PROGRAMS) -> Endpoint:
        """All other paths."""
        return Endpoint(route="none", handler=handler, audience=audience, recorder=self.recorder)

    def pages(self, pages: Pages) -> list[BaseRoute]:
        """The paths of the pages, and of what they load."""
        return [
            *(self.read(path, page, pages.audience) for path, page in pages.shown.items()),
            *(
                self.read(path, page, pages.audience, (*_GET, "POST"))
                for path, page in pages.asked.items()
            ),
            self.open("/static/{name}", static_file),
        ]


def _serving(settings: ServeSettings, service: Service) -> tuple[list[BaseRoute], Endpoint]:
    """The routes over a service, and the endpoint for all other paths."""
    readers = settings.keys if settings.private else ()
    paths = _Paths(settings.keys, readers, service.metrics, settings.allow_origin or "")
    submissions, queries, about = Submissions(service), Queries(service), About(service)
    routes = [
        paths.submit("/articles", submissions.post_articles),
        paths.submit("/post/enqueue", submissions.post_enqueue),
        paths.read("/publications", queries.publications),
        paths.read("/frequencies/{publication:anything}", queries.frequencies),
        paths.read("/publications/{publication:anything}/entities", queries.entities),
        paths.read("/trends", queries.trends),
        paths.read("/status", about.status),
        paths.open("/healthz", about.healthz),
        paths.open("/readyz", about.readyz),
        paths.read("/metrics", about.metrics),
        paths.open("/openapi.json", about.openapi),
        *paths.pages(Pages(service)),
    ]
    return routes, paths.others(_nothing_there)


def _alone(settings: ServeSettings, store: StoreAlone) -> tuple[list[BaseRoute], Endpoint]:
    """The routes over a store alone, and the endpoint for all other paths."""
    paths = _Paths((), settings.keys, None)
    pages = Pages(store)
    return paths.pages(pages), paths.others(_no_page, pages.audience)


async def _nothing_there(call: Call) -> Response:
    text = f"nothing at {call.path[:200]!r}; /openapi.json lists what there is"
    raise Problem(404, text, "unknown")


async def _no_page(call: Call) -> Response:
    raise Problem(404, f"there is no page {call.path[:200]!r}", "unknown")


def _unless_websocket(endpoint: Endpoint) -> ASGIApp:
    """What the router does where it has no route."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        else:
            await endpoint(scope, receive, send)

    return answer
