"""`serve`: the service, its signals, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from daskingest.cli.interrupts import Interrupts, signals
from daskingest.logs import Format, Level, LogSettings, set_up
from daskingest.settings import ServeSettings

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

    from daskingest.service.service import Service

_ANSWER_SECONDS = 5  # for requests that are being answered when the service ends
_OPEN_SECONDS = 5.0  # for the store, when the service is to end
_LOG = LogSettings(level=Level.INFO, format=Format.JSON)

logger = logging.getLogger("daskingest.serve")


def serve(settings: ServeSettings, log: LogSettings = _LOG) -> None:
    """Take articles over HTTP and count them into the store.

    What it acknowledges is on disk and is counted once, even if it is killed. Keys come from
    DASKINGEST_API_KEY (several are separated by commas), and are sent as `Authorization: Bearer
    KEY`. At the first Ctrl-C or SIGTERM it refuses new articles and finishes the spool; the second
    stops it at once. One that comes while it opens the store waits for that, five seconds at most.
    /openapi.json describes the requests.

    Exit codes: 0 stopped as asked (what is not counted then waits for the next start), 1 failed,
    2 wrong usage, 130 stopped at once.
    """
    from daskingest.service.listening import keys_from, listen, url_of
    from daskingest.web.prefix import root_path_of

    root_path_of(settings.root_path)  # before anything is started
    keys = keys_from(os.environ.get("DASKINGEST_API_KEY"))
    settings = dataclasses.replace(settings, keys=keys)
    listener = listen(settings.host, settings.port, settings.keys)
    interrupts = Interrupts()
    with signals(interrupts.request, interrupts.request):
        import uvloop

        from daskingest.web.app import create_app

        set_up(log)
        for name in ("uvicorn", "uvicorn.error"):  # the service itself reports what matters
            logging.getLogger(name).setLevel(logging.CRITICAL)

        async def go() -> None:
            serving = _Serving(interrupts, url_of(settings.host, listener))
            serving.server = _server_of(create_app(settings, serving.opened(settings)))
            if not interrupts.asked:
                await serving.run(listener)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(go())


def _server_of(app: Starlette) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals are handled here, not by uvicorn."""
            yield

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=_ANSWER_SECONDS,
    )
    return Server(config)


class _Serving:
    """The service from its start to its end, which a signal or a failure causes."""

    def __init__(self, interrupts: Interrupts, url: str) -> None:
        self.server: uvicorn.Server | None = None
        self._url = url
        self._interrupts = interrupts
        self._service: Service | None = None
        self._error: BaseException | None = None
        self._draining: asyncio.Task[None] | None = None

    async def run(self, listener: socket.socket) -> None:
        """Serve to the end. Raises what kept the service from starting, or made it fail."""
        assert self.server is not None
        with contextlib.suppress(SystemExit):  # what uvicorn makes of a failed start
            await self.server.serve(sockets=[listener])
        if self._error is not None:
            raise self._error
        if self._service is not None and self._service.failure is not None:
            raise self._service.failure

    @contextlib.asynccontextmanager
    async def opened(self, settings: ServeSettings) -> AsyncIterator[Service]:
        """The service, for the application. A stop requested during the start takes effect then."""
        from daskingest.service.service import open_service

        try:
            opening = self._interrupts.waiting(_OPEN_SECONDS)
            async with open_service(settings, opening) as service:
                self._started(service)
                yield service
        except BaseException as error:
            self._error = error
            raise

    def _started(self, service: Service) -> None:
        gc.collect()
        gc.freeze()  # collections need not scan what was imported: 100 ms each time
        self._service = service
        service.on_failure = self._exit
        logger.info("serving", extra={"url": self._url, "dashboard": service.dashboard})
        self._interrupts.attach(lambda: self._drain_soon(service))

    def _drain_soon(self, service: Service) -> None:
        self._draining = asyncio.ensure_future(self._drain(service))

    async def _drain(self, service: Service) -> None:
        """Finish the spool, then stop."""
        logger.info("draining", extra={"articles": service.spool.articles})
        if await service.drain():
            logger.info("drained")
        self._exit()

    def _exit(self) -> None:
        assert self.server is not None
        self.server.should_exit = True
