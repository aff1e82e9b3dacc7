"""`worker`: the workers of a machine that is part of a cluster."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.stopping import Stopping
from daskingest.errors import UsageError
from daskingest.logs import Level, LogSettings, set_up
from daskingest.settings import WorkerKind, WorkerSettings

if TYPE_CHECKING:
    from daskingest.pipeline.worker_host import Workers

_LOG = LogSettings(level=Level.INFO)


def worker(
    scheduler: Annotated[
        str,
        typer.Argument(
            help="The address of the cluster's scheduler: tcp://HOST:8786, or tls://HOST:8786.",
            envvar="DASKINGEST_SCHEDULER",
        ),
    ],
    settings: WorkerSettings,
    log: LogSettings = _LOG,
) -> ExitCode:
    """Work for the cluster of a scheduler.

    It does so until it is stopped. It waits for a scheduler that is not there yet, and joins again
    after the scheduler or the network was away. At the first Ctrl-C or SIGTERM it takes nothing new
    and finishes what it has begun, for up to --drain-timeout; the second one stops it at once, and
    other workers do that again.

    Exit codes: 0 after SIGTERM, 1 refused by a program that counts with something else, 2 wrong
    usage, 130 after Ctrl-C.
    """
    with Stopping() as stopping:
        import uvloop

        from daskingest.models import find_model
        from daskingest.pipeline import template
        from daskingest.pipeline.dask_settings import forking, in_force
        from daskingest.pipeline.worker_host import WorkerHost

        set_up(log)
        workers = _workers(scheduler, settings)

        async def go() -> None:
            host = WorkerHost(workers)
            stop = asyncio.create_task(stopping.wait())
            stop.add_done_callback(lambda _: host.stop())
            await host.run()
            stop.cancel()

        with contextlib.ExitStack() as stack:
            stack.enter_context(in_force())
            extracts = settings.kind is WorkerKind.EXTRACT
            model = find_model(settings.model) if extracts else ""
            forks = extracts and template.start(model, settings.recognizer)
            stack.enter_context(forking(forks))
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(go())
    return stopping.exit_code


def _workers(scheduler: str, settings: WorkerSettings) -> Workers:
    """What the settings ask for. Raises UsageError if that cannot be."""
    from dask.utils import parse_bytes

    from daskingest.pipeline.tls import Tls
    from daskingest.pipeline.worker_host import Workers
    from daskingest.resources import usable_cores

    try:
        memory = parse_bytes(settings.memory_limit)
    except ValueError:
        raise UsageError(
            f"expected --memory-limit like 4GiB, not {settings.memory_limit!r}"
        ) from None
    usual = usable_cores() if settings.kind is WorkerKind.EXTRACT else 1
    return Workers(
        resource=settings.kind,
        count=settings.workers or usual,
        address=scheduler,
        security=Tls.of(settings).security(scheduler, "worker"),
        host=settings.host,
        memory=memory,
        drain_seconds=settings.drain_timeout,
    )
