"""A scheduler whose dashboard is loaded when somebody looks at it for the first time.

To load it takes about as much processor time as all else that a driver loads of Dask, and most
runs, as those of scripts, are never looked at. Then the scheduler's event loop stands still, for
less than a second. The charts begin when they are opened, as they always do.
"""

from __future__ import annotations

from typing import Any

from distributed import Scheduler
from tornado.web import Application


class SchedulerWithDashboard(Scheduler):
    """Takes Dask's options, but for `dashboard` and `http_prefix`. Its address is known from the
    beginning."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, dashboard=False)
        self.http_application.add_application(_NotLoaded(self))


class _NotLoaded(Application):
    """Stands for the dashboard among the scheduler's pages: is asked for what no other has."""

    def __init__(self, scheduler: SchedulerWithDashboard) -> None:
        super().__init__()
        self._scheduler = scheduler

    def find_handler(self, request: Any, **more: Any) -> Any:
        """Have the dashboard take this one's place, and this request."""
        from distributed.dashboard.scheduler import connect

        pages = self._scheduler.http_application
        connect(pages, self._scheduler.http_server, self._scheduler)
        pages.applications.remove(self)
        return pages.applications[-1].find_handler(request, **more)
