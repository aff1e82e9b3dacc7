"""`serve`: the service, its signals, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from daskingest.cli.signals import interrupts
from daskingest.logs import LogSettings, set_up
from daskingest.settings import ServeSettings
from daskingest.web.listening import listen

if TYPE_CHECKING:
    from daskingest.service.service import Service

_ANSWER_SECONDS = 5  # for requests that are being answered when the service ends

log = logging.getLogger("daskingest.serve")


def serve(settings: ServeSettings, logging_to: LogSettings) -> int:
    """Serve until a signal ends it. Returns the exit code; raises DaskingestError."""
    listener = listen(settings.host, settings.port, settings.keys)
    ending = _Ending()
    with interrupts(ending.drain, ending.abort, ending.drain):
        import uvicorn
        import uvloop

        from daskingest.service.service import open_service
        from daskingest.web.app import create_app

        set_up(logging_to)
        for name in ("uvicorn", "uvicorn.error"):  # what matters of it, the service tells
            logging.getLogger(name).setLevel(logging.CRITICAL)

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                """Signals are handled here, not by uvicorn."""
                yield

        async def go() -> None:
            app = create_app(settings, ending.serving(open_service(settings)))
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="on",
                timeout_graceful_shutdown=_ANSWER_SECONDS,
            )
            ending.server = Server(config)
            with ending.failing(app):
                await ending.run(listener)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(go())
    return ending.code


def explore(settings: ServeSettings, logging_to: LogSettings) -> None:
    """Show a store's pages until a signal ends it. Raises DaskingestError."""
    import uvicorn

    from daskingest.models import find_model
    from daskingest.stores import absolute_url, open_store
    from daskingest.web.app import create_app
    from daskingest.web.store_alone import open_store_alone

    set_up(logging_to)
    open_store(settings.store).close()
    listener = listen(settings.host, settings.port, settings.keys)
    if hasattr(os, "nice"):
        os.nice(19)  # whoever counts into the store goes first
    store = open_store_alone(absolute_url(settings.store), find_model(settings.model))
    app = create_app(settings, store)
    address = f"http://{settings.host}:{listener.getsockname()[1]}"
    print(f"{settings.store} is at {address}; Ctrl-C ends it", flush=True)
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


class _Ending:
    """What signals do: the first one drains, the second one aborts."""

    def __init__(self) -> None:
        self.server: Any = None
        self.code = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._service: Service | None = None
        self._drained: asyncio.Task[None] | None = None
        self._asked = False

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
        if self._service is not None and self._service.failure is not None:
            raise self._service.failure

    @contextlib.asynccontextmanager
    async def serving(
        self, opening: contextlib.AbstractAsyncContextManager[Service]
    ) -> AsyncIterator[Service]:
        """The service, which is told of signals as soon as it is there."""
        async with opening as service:
            self.started(service)
            yield service

    async def run(self, listener: socket.socket) -> None:
        """Serve to the end."""
        self._loop = asyncio.get_running_loop()
        if not self._asked:
            await self.server.serve(sockets=[listener])

    def started(self, service: Service) -> None:
        """The service is there; whoever asked it to end before, did."""
        gc.collect()
        gc.freeze()  # all that was imported need not be looked through again, for 100 ms each time
        self._service = service
        service.on_failure = self._exit
        host, port = service.settings.host, service.settings.port
        log.info("serving", extra={"url": f"http://{host}:{port}", "dashboard": service.dashboard})
        if self._asked:
            self._begin()

    def drain(self) -> None:
        """See the spool through, then end. Called on another thread."""
        if self._asked:
            self.abort()
        self._asked = True
        if self._service is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin)

    def abort(self) -> None:
        """End at once. The workers notice that this process is gone, and end too."""
        os._exit(130)

    def _begin(self) -> None:
        self._drained = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        assert self._service is not None
        log.info("draining", extra={"articles": self._service.spool.articles})
        if await self._service.drain():
            log.info("drained")
        self._exit()

    def _exit(self) -> None:
        self.server.should_exit = True
