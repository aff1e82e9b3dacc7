"""The template: a process that has loaded everything, of which a local cluster's workers are forks.

What takes long at the start of a worker is loading: Dask, spaCy, the compiled kernels, the model.
The template does that once, while the driver starts. A worker is then there at once, also one that
takes the place of another that died, and the workers share the memory of what was loaded.

It is multiprocessing's fork server, which imports `preload` before it serves. It ends when no
process has a use for it any more, however this one ends. Where there is none, each worker loads for
itself; the same where the template could not load, so that it is the worker that tells why.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

from daskingest.settings import RecognizerKind

WANTED = "_DASKINGEST_TEMPLATE"
"""The variable that tells the template what to load."""

ENVIRONMENT: Mapping[str, int] = {
    # With Dask's setting, the memory of each large array is given back, and its pages must be
    # faulted in for the next one: that took a sixth of a worker's time.
    "MALLOC_TRIM_THRESHOLD_": 64 * 2**20,
    "MALLOC_MMAP_THRESHOLD_": 32 * 2**20,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
    "BLIS_NUM_THREADS": 1,
}
"""The variables that a worker's process begins with, unless they are set otherwise."""

QUIET = {"DASK_LOGGING__DISTRIBUTED": "critical"}
"""Silences what Dask says about its processes: the driver reports what matters."""

THREADLESS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Keeps pyarrow from starting a thread when it is imported: see the end of `preload`'s `_main`."""

kept: list[logging.LogRecord] = []
"""What was logged while the template loaded, for each of its workers to tell the driver."""

_PRELOAD = ["daskingest.pipeline.preload"]


def start(model: str, recognizer: RecognizerKind) -> bool:
    """Have the template load a model, unless it has begun already. Returns at once.

    Whether there is a template to fork workers from.
    """
    if sys.platform != "linux":  # macOS' libraries don't survive a fork, Windows has none
        return False
    server: Any = vars(forkserver)["_forkserver"]
    if server._forkserver_pid is not None:
        return bool(server._preload_modules == _PRELOAD)  # else another's, with what that needs
    wanted = {"model": model, "recognizer": recognizer, "path": sys.path, "parent": os.getpid()}
    more = {WANTED: json.dumps(wanted)}
    if not {"", str(Path.cwd())} & set(sys.path):
        more["PYTHONSAFEPATH"] = "1"  # modules of the current folder are none of ours
    multiprocessing.set_forkserver_preload(_PRELOAD)
    start_resource_tracker()
    variables = {name: os.environ.get(name, str(value)) for name, value in ENVIRONMENT.items()}
    try:
        with _environment({**variables, **QUIET, **THREADLESS, **more}), _uninterrupted():
            forkserver.ensure_running()
    except OSError:  # such as a temporary folder with too long a name for a socket
        return False
    return True


def start_resource_tracker() -> None:
    """Start multiprocessing's tracker now: started later, it would unblock SIGINT.

    It cleans up after a program that was aborted, and is kept from printing warnings about that.
    """
    with _environment({"PYTHONWARNINGS": "ignore"}):
        resource_tracker.ensure_running()


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    """More environment variables for a process that is started inside the context."""
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that is started inside the context does not get Ctrl-C, which is for this one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
