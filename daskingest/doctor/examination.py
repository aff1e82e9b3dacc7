"""Runs all checks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from daskingest import resources
from daskingest.doctor import machine, places, saving, software
from daskingest.doctor.blas import check_blas
from daskingest.doctor.finding import Finding, problem
from daskingest.errors import DaskingestError
from daskingest.settings import MAX_SPOOL_BYTES, DoctorSettings


def examine(settings: DoctorSettings) -> Iterator[Finding]:
    """The findings about this machine and what `run-csv` and `serve` would use.

    Raises nothing, and changes nothing.
    """
    return (guarded(name, check) for name, check in _checks(settings))


def guarded(name: str, check: Callable[[], Finding]) -> Finding:
    """What a check finds. An error that it raises is a problem too."""
    try:
        return check()
    except DaskingestError as error:
        return problem(name, str(error))
    except Exception as error:  # this is what the user wants to know about
        return problem(name, f"{type(error).__name__}: {error}")


def _checks(settings: DoctorSettings) -> Iterator[tuple[str, Callable[[], Finding]]]:
    """The checks, with the names of their findings."""

    def workers() -> int:
        return 0 if settings.scheduler else settings.workers or resources.usable_cores()

    keys = os.environ.get("DASKINGEST_API_KEY")
    yield "Python", software.check_python
    yield "packages", software.check_packages
    yield "SQLite", software.check_sqlite
    yield "spaCy", software.check_spacy
    yield "model", partial(software.check_model, settings.model)
    yield "BLAS", partial(check_blas, os.environ)
    if settings.scheduler:
        yield "scheduler", partial(places.check_scheduler, settings.scheduler, settings)
    else:
        yield "cores", lambda: machine.check_cores(workers(), resources.usable_cores())
        yield "dashboard", places.check_dashboard
    yield (
        "memory",
        lambda: machine.check_memory(workers(), resources.free_memory(), settings.savers),
    )
    yield "open files", lambda: machine.check_files(workers())
    yield "store", partial(places.check_store, settings.store)
    if settings.savers > 1:
        yield "savers", partial(saving.check_savers, settings.store, settings.savers)
    yield "disk", lambda: machine.check_disk(Path(settings.data_dir), MAX_SPOOL_BYTES)
    yield "port", partial(places.check_port, settings.host, settings.port, keys)
