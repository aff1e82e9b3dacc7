"""A clock for Dask that goes on when somebody sets the machine's.

Dask holds back what it sends, and Tornado what is to be called, until a time on the wall's clock.
Where that was set back by an hour, messages between workers and scheduler would wait for an hour.
"""

from __future__ import annotations

import sys
import time
from functools import cache

from distributed import metrics
from tornado.ioloop import IOLoop

_WALL = metrics.time


@cache
def _beginning() -> float:
    return time.time() - time.monotonic()


def now() -> float:
    """Seconds since 1970, by the machine's clock as it was when this was first called."""
    return _beginning() + time.monotonic()


def steady() -> None:
    """Have Dask and Tornado in this process use `now`. To be called in each; again is no harm.

    What waits already goes on: there is no leap when they change over.
    """
    now()
    IOLoop.time = lambda self: now()  # type: ignore[method-assign]
    for name, module in list(sys.modules.items()):
        if name.startswith("distributed.") and vars(module).get("time") is _WALL:
            vars(module)["time"] = now
