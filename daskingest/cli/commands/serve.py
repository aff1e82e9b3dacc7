"""`serve`: the service, its signals, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from daskingest.cli.interrupts import Interrupts, signals
from daskingest.logs import Format, Level, LogSettings, set_up
from daskingest.settings import ServeSettings

if TYPE_CHECKING:
    import uvicorn

    from daskingest.service.service import Service

_ANSWER_SECONDS = 5  # for requests that are being answered when the service ends
_LOG = LogSettings(level=Level.INFO, format=Format.JSON)

logger = logging.getLogger("daskingest.serve")


def serve(settings: ServeSettings, log: LogSettings = _LOG) -> None:
    """Take articles over HTTP and count them into the store.

    What it acknowledges is on disk and is counted once, whatever is killed. Keys come from
    DASKINGEST_API_KEY (several with commas between them), and are sent as `Authorization: Bearer
    KEY`. The first Ctrl-C or SIGTERM refuses new articles and finishes the spool, the second one
    stops at once. /openapi.json describes the requests.
    """
    from daskingest.web.listening import keys_from, listen

    keys = keys_from(os.environ.get("DASKINGEST_API_KEY"))
    settings = dataclasses.replace(settings, keys=keys)
    listener = listen(settings.host, settings.port, settings.keys)
    interrupts = Interrupts()
    with signals(interrupts.request, interrupts.request):
        import uvloop

        from daskingest.web.app import create_app

        set_up(log)
        for name in ("uvicorn", "uvicorn.error"):  # what matters of it, the service tells
            logging.getLogger(name).setLevel(logging.CRITICAL)

        async def go() -> None:
            serving = _Serving(interrupts)
            app = create_app(settings, serving.started)
            serving.server = _server_of(app)
            with serving.failing(app):
                if not interrupts.asked:
                    await serving.server.serve(sockets=[listener])

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(go())


def _server_of(app: Any) -> uvicorn.Server:
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
    """The service from its start to its end, which a signal or a failure brings."""

    def __init__(self, interrupts: Interrupts) -> None:
        self.server: uvicorn.Server | None = None
        self.service: Service | None = None
        self._interrupts = interrupts
        self._draining: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def failing(self, app: Any) -> Iterator[None]:
        """Raise what kept the service from starting, or from going on."""
        error: list[BaseException] = []
        inner = app.router.lifespan_context

        @contextlib.asynccontextmanager
        async def lifespan(its_app: Any) -> Any:
            try:
                async with inner(its_app) as state:
                    yield state
            except BaseException as its_error:
                error.append(its_error)
                raise

        app.router.lifespan_context = lifespan
        with contextlib.suppress(SystemExit):  # what uvicorn makes of a failed start
            yield
        if error:
            raise error[0]
        if self.service is not None and self.service.failure is not None:
            raise self.service.failure

    def started(self, service: Service) -> None:
        """The service is there; whoever asked it to end before, did."""
        gc.collect()
        gc.freeze()  # all that was imported need not be looked through again, for 100 ms each time
        self.service = service
        service.on_failure = self._exit
        host, port = service.settings.host, service.settings.port
        logger.info(
            "serving", extra={"url": f"http://{host}:{port}", "dashboard": service.dashboard}
        )
        self._interrupts.attach(lambda: self._drain_soon(service))

    def _drain_soon(self, service: Service) -> None:
        self._draining = asyncio.ensure_future(self._drain(service))

    async def _drain(self, service: Service) -> None:
        """See the spool through, then end."""
        logger.info("draining", extra={"articles": service.spool.articles})
        if await service.drain():
            logger.info("drained")
        self._exit()

    def _exit(self) -> None:
        assert self.server is not None
        self.server.should_exit = True
