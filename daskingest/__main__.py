"""The entry point of the command line."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from daskingest.cli import streams
from daskingest.errors import DaskingestError
from daskingest.files import NO_HOME


def main() -> None:
    """Run the command line. An expected error is printed as one line, without a traceback."""
    _trim_values()
    _have_a_home()
    streams.prepare()
    _begin_loading(sys.argv[1:], os.environ)
    from daskingest.cli.app import app

    try:
        try:
            app()
        finally:
            streams.finish()
    except DaskingestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    finally:
        gc.freeze()  # else all that was imported is looked through for garbage, at the very end


def _trim_values() -> None:
    """Cut white space off the ends of options from the environment: files of them often have it."""
    for name, value in os.environ.items():
        if name.startswith("DASKINGEST_") and value != value.strip():
            os.environ[name] = value.strip()


def _have_a_home() -> None:
    """Libraries that are imported look for one, and fail where there is none."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(NO_HOME)


def _begin_loading(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Have the workers' template load while this process still reads its command line.

    What is loaded for nothing costs time, and nothing else.
    """
    words = [word for each in arguments for word in each.split("=", 1)]
    given = {**environment, **{_variable(name): value for name, value in pairwise(words)}}
    if words[:1] not in (["run"], ["run-csv"], ["serve"]) or "DASKINGEST_SCHEDULER" in given:
        return
    if "--help" in words:
        return
    from daskingest.models import find_model
    from daskingest.pipeline import template
    from daskingest.settings import RecognizerKind

    with suppress(DaskingestError, ValueError):  # which the command will tell
        recognizer = RecognizerKind(given.get("DASKINGEST_RECOGNIZER", RecognizerKind.FAST))
        template.start(find_model(given.get("DASKINGEST_MODEL")), recognizer)


def _variable(option: str) -> str:
    return f"DASKINGEST_{option.removeprefix('--').upper()}" if option.startswith("--") else ""


if __name__ == "__main__":
    main()
