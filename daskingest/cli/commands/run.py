"""`run`: files of any format."""

from __future__ import annotations

from typing import Annotated

import typer

from daskingest.cli.commands.run_csv import count_files
from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.options import NoProgress, Strict
from daskingest.logs import LogSettings
from daskingest.settings import Settings

_LOG = LogSettings()


def run(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Files of articles: CSV with a header line, JSON Lines or Parquet, in any "
            "archive or compression; folders, patterns, - for standard input; local or anywhere "
            "that fsspec can read (s3://...). Their first bytes tell what they are.",
        ),
    ],
    settings: Settings,
    strict: Strict = False,
    no_progress: NoProgress = False,
    log: LogSettings = _LOG,
) -> ExitCode:
    """Count the articles of CSV, JSON Lines and Parquet files.

    Their counts go into the store. You can interrupt or even kill it at any time: the same command
    resumes, even on another machine or with different --workers, and counts every article once. A
    file that has been counted is skipped; one that cannot be read is named, and the others are
    counted. The first Ctrl-C finishes what is in flight, the second stops at once.

    Exit codes: 0 done, 1 failed, if only for one of the files, or no row could be used, 2 wrong
    usage, 3 done but with rejects and --strict, 130 interrupted.
    """
    return count_files(files, settings, strict, no_progress, log)
