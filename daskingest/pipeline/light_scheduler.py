"""A scheduler that leaves the processor to the workers.

Its dashboard is loaded when somebody looks at it for the first time. To load it takes about as much
processor time as all else that a driver loads of Dask, and most runs, as those of scripts, are
never looked at. Then the scheduler's event loop stands still, for less than a second. The charts
begin when they are opened, as they always do.

And workers send it fewer heartbeats, which tell how they are. That one has died is seen by its
connection, or by minutes of silence.
"""

from __future__ import annotations

from typing import Any

from distributed import Scheduler
from tornado.web import Application

HEARTBEAT_INTERVAL = 2.0
"""Seconds between a worker's heartbeats, at least. One takes some 3 ms of processor time, half of
it the scheduler's, and with few workers Dask would have two a second."""


class LightScheduler(Scheduler):
    """Takes Dask's options, but for `dashboard` and `http_prefix`. Its address is known from the
    beginning."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, dashboard=False)
        self.http_application.add_application(_NotLoaded(self))

    def heartbeat_worker(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Called by a worker; says when it shall call again."""
        answer: dict[str, Any] = super().heartbeat_worker(*args, **options)
        if "heartbeat-interval" in answer:  # it is not in what a worker gets that has to go
            answer["heartbeat-interval"] = max(answer["heartbeat-interval"], HEARTBEAT_INTERVAL)
        return answer


class _NotLoaded(Application):
    """Stands for the dashboard among the scheduler's pages: is asked for what no other has."""

    def __init__(self, scheduler: LightScheduler) -> None:
        super().__init__()
        self._scheduler = scheduler

    def find_handler(self, request: Any, **more: Any) -> Any:
        """Have the dashboard take this one's place, and this request."""
        from distributed.dashboard.scheduler import connect

        pages = self._scheduler.http_application
        connect(pages, self._scheduler.http_server, self._scheduler)
        pages.applications.remove(self)
        return pages.applications[-1].find_handler(request, **more)
