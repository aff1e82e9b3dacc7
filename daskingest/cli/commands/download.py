"""`download`: a file of articles from the web."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from rich.console import Console

from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.output import command_name, print_lines
from daskingest.progress import Display
from daskingest.settings import ALL_THE_NEWS, DATA_DIR, Option
from daskingest.shared_options import DataDir
from daskingest.text import size_text


def download(
    url: Annotated[
        str, Option("The address of a zip with one CSV file in it, or of a CSV file.")
    ] = ALL_THE_NEWS,
    data_dir: DataDir = DATA_DIR,
    keep_zip: Annotated[bool, Option("Keep the zip after unpacking it.")] = False,
) -> ExitCode:
    """Download All-the-News 2.0, or another CSV file.

    It is ready for `run-csv` then. You can interrupt or even kill it at any time: the same command
    resumes, if the server supports that. It first checks that there is enough disk space. A file
    that is there already is kept.

    \b
    The data set's page:
    https://components.one/datasets/all-the-news-2-news-articles-dataset/

    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    messages = Console(stderr=True)
    try:
        from daskingest.download import job

        with Display(messages, enabled=True) as display:
            path, made = job.download(url, Path(data_dir), display, keep_zip)
    except KeyboardInterrupt:  # there is nothing to finish
        messages.print("interrupted; run the same command again to resume")
        return ExitCode.INTERRUPTED
    size = size_text(path.stat().st_size)
    state = f"{size} in {path}" if made else f"{path} is there already, {size}"
    command = f"{command_name()} run-csv {shlex.quote(str(path))}"
    print_lines(Console(), f"{state}; count it with\n  {command}")
    return ExitCode.DONE
