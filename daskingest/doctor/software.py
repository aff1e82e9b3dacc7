"""Checks of what is installed: Python, the packages, the model."""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import sqlite3
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from daskingest import __version__
from daskingest.doctor.finding import Finding, ok, problem, warning

_PYTHON = (3, 11)
_SQLITE_SOUND = (3, 51, 3)
_SQLITE_FIXED = (((3, 44, 6), (3, 45)), ((3, 50, 7), (3, 51)))
"""Older ones that have the mend too, and the versions from which on that isn't so.

Source: "The WAL-Reset Bug" in SQLite's documentation of write-ahead logging.
"""
_AGAIN = "install daskingest again with what it needs: `pip install -e .` in its folder"


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether this Python is new enough."""
    found = ".".join(map(str, version))
    if version < _PYTHON:
        return problem("Python", f"{found}, expected 3.11 or later", "use a newer one")
    return ok("Python", f"{found} ({platform.python_implementation()}, {sys.executable})")


def check_packages(package: str = "daskingest") -> Finding:
    """Whether a package's dependencies are installed, in suitable versions."""
    from packaging.requirements import Requirement

    wanted = [Requirement(each) for each in importlib.metadata.requires(package) or ()]
    needed = [each for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})]
    wrong = []
    for each in needed:
        try:
            version = importlib.metadata.version(each.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{each.name} is missing")
        else:
            if not each.specifier.contains(version, prereleases=True):
                wrong.append(f"{each.name} {version} instead of {each.specifier}")
    found = f"{package} {__version__}"
    if wrong:
        return problem("packages", f"{found}: {', '.join(wrong)}", _AGAIN)
    return ok("packages", f"{found}, and the {len(needed)} that it needs")


def check_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Finding:
    """Whether this SQLite has the bug of 3.7.0 to 3.51.2 in resetting a write-ahead log."""
    found = ".".join(map(str, version))
    fixed = any(first <= version < until for first, until in _SQLITE_FIXED)
    if fixed or version >= _SQLITE_SOUND:
        return ok("SQLite", found)
    return warning(
        "SQLite",
        f"{found} has a bug, fixed in 3.51.3: a file that two programs write to at the same moment "
        "may, very rarely, be damaged",
        "let only one program at a time count into an sqlite:/// store, and keep backups of it, or "
        "use a Python with a newer SQLite",
    )


def check_spacy() -> Finding:
    """Whether spaCy can be imported, and its version."""
    try:
        import spacy.about
        import thinc.about
    except Exception as error:  # a broken one may raise anything
        return problem("spaCy", f"cannot be imported: {error}", _AGAIN)
    return ok(
        "spaCy",
        f"{spacy.about.__version__} with thinc {thinc.about.__version__}, whose BLIS is not used",
    )


def check_model(model: str | None) -> Finding:
    """Whether the model is installed and loads, and whether the recognizer can compute it."""
    from daskingest.models import find_model, load_pipeline, model_identity, needed_pipes
    from daskingest.recognizer.finder import Finder

    name = find_model(model)
    with _messages() as said:
        finder = Finder(load_pipeline(name, entities_only=True))
    said += needed_pipes(name).reasons
    found = f"{name}, {model_identity(name)}"
    if finder.recognizer is None:
        reasons = "; ".join(said) or "it has other components that set entities"
        return warning(
            "model",
            f"{found}, is computed by spaCy, at a fraction of the speed: {reasons}",
            "if that is too slow, use a model such as en_core_web_sm",
        )
    if said:
        return warning("model", f"{found}: {'; '.join(said)}", "use a model made for this spaCy")
    return ok("model", f"{found}, accelerated")


@contextmanager
def _messages() -> Iterator[list[str]]:
    """Collect log messages and warnings instead of showing them."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("daskingest")
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", UserWarning)
            yield said
        said += [str(each.message) for each in warned if issubclass(each.category, UserWarning)]
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
