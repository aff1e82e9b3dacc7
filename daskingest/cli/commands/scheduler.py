"""`scheduler`: that of a cluster of several machines."""

from __future__ import annotations

import asyncio
import logging

from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.stopping import Stopping
from daskingest.logs import Level, LogSettings, set_up
from daskingest.settings import SchedulerSettings

_LOG = LogSettings(level=Level.INFO)

logger = logging.getLogger("daskingest.scheduler")


def scheduler(settings: SchedulerSettings, log: LogSettings = _LOG) -> ExitCode:
    """Run the scheduler of a cluster of several machines.

    It runs until it is stopped. The machines' workers (`daskingest worker`) join it, and `run
    --scheduler` and `serve --scheduler` count with them. Whoever can reach its port can run any
    code on all of them: where others share the network, give it and them certificates.

    Exit codes: 0 after SIGTERM, 1 failed, 2 wrong usage, 130 after Ctrl-C.
    """
    with Stopping() as stopping:
        import uvloop

        from daskingest.pipeline.dask_settings import in_force
        from daskingest.pipeline.scheduler_host import scheduler as running
        from daskingest.pipeline.tls import Tls
        from daskingest.pipeline.worker_host import exposure

        set_up(log)

        async def go() -> None:
            starting = running(
                settings.host, settings.port, settings.dashboard_address, Tls.of(settings)
            )
            async with starting as listening:
                shown = {"address": listening.address, "dashboard": listening.dashboard}
                logger.info("scheduling", extra=shown)
                if warning := exposure(settings.host, listening.address):
                    logger.warning("%s", warning)
                await stopping.wait()
                logger.info("stopping")
                # Whatever Dask was about to tell those that are connected fails now.
                logging.getLogger("asyncio").setLevel(logging.CRITICAL)

        loops = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with in_force(), loops as runner:
            runner.run(go())
    return stopping.exit_code
