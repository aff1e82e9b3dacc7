"""What the template loads: importing this module does it. See `template.py`."""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from daskingest.pipeline.template import WANTED, kept

_NEEDED = (
    "distributed.nanny",
    "fsspec.implementations.local",
    "daskingest.pipeline.task",
    "daskingest.recognizer.finder",
    "daskingest.stores.sqlite",
    "daskingest.stores.sqlite_commit",
)
_LOOK_SECONDS = 0.2


class _Keeping(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        kept.append(record)


def _main(wanted: dict[str, Any]) -> None:
    sys.path[:] = wanted["path"]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver
    _end_with(wanted["parent"])
    logger = logging.getLogger("daskingest")
    logger.addHandler(keeping := _Keeping())
    try:
        _load(wanted["model"], wanted["recognizer"])
    except Exception as error:
        logger.debug("the template could not load: %s", error)  # the workers will tell
    finally:
        logger.removeHandler(keeping)
        signal.setitimer(signal.ITIMER_REAL, 0)
    # What another thread holds at a fork is held for ever in the child: start again, load nothing.
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        os.execv(sys.executable, sys.orig_argv)
    atexit.register(os._exit, 0)  # at once; workers end otherwise


def _load(model: str, recognizer: str) -> None:
    gc.disable()  # nothing of it is garbage
    with _without_pandas():
        importlib.import_module("pyarrow").array([])
    with _without_command_line():
        importlib.import_module("spacy")
    for name in _NEEDED:
        importlib.import_module(name)
    from daskingest.models import load_model
    from daskingest.pipeline.versions import versions_here
    from daskingest.settings import RecognizerKind

    gc.freeze()
    gc.enable()
    versions_here(model)  # of what is loaded now, whatever is there when a worker is started
    load_model(model, RecognizerKind(recognizer))
    if "pandas" in sys.modules:  # the model's package has a use for it
        importlib.import_module("pyarrow").table({}).to_pandas()
    gc.freeze()  # so that workers don't touch, and by that copy, all that they share


@contextmanager
def _without_pandas() -> Iterator[None]:
    """With its first array, pyarrow imports pandas to know its objects, which no batch has. That is
    a tenth of the time that all of this takes. DataFrames are made all the same; from the first one
    on, pyarrow knows a Series, too, which until then it takes for a sequence."""
    sys.meta_path.insert(0, missing := _NoPandas())
    try:
        yield
    finally:
        sys.meta_path.remove(missing)


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ImportError(fullname)


@contextmanager
def _without_command_line() -> Iterator[None]:
    """spaCy's own command line takes a third of the time that its import takes; nobody uses it."""
    names = ("spacy.cli", "spacy.cli.info")
    package, info = modules = [ModuleType(name) for name in names]
    vars(package)["__path__"], vars(info)["info"] = [], None
    sys.modules.update(zip(names, modules, strict=True))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, also while it loads."""

    def look(*_: object) -> None:
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)


if wanted := os.environ.pop(WANTED, ""):
    _main(json.loads(wanted))
