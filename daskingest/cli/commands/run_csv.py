"""`run-csv`: the run with its progress, its signals and its summary."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.interrupts import Interrupts, signals
from daskingest.cli.options import NoProgress, Strict
from daskingest.cli.output import command_name, print_lines
from daskingest.logs import LogSettings, set_up
from daskingest.progress import Display
from daskingest.settings import DEFAULT_STORE, Settings

if TYPE_CHECKING:
    from daskingest.pipeline.summary import Summary
    from daskingest.publishing.report import PublishReport

_LOG = LogSettings()


def run_csv(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="CSV files with a header line, local or anywhere that fsspec can read (s3://...), "
            "plain or compressed (gzip, bzip2, xz, zstd); zips, tars, folders and patterns, of "
            "which all files are counted; - is standard input.",
        ),
    ],
    settings: Settings,
    strict: Strict = False,
    no_progress: NoProgress = False,
    log: LogSettings = _LOG,
) -> ExitCode:
    """Count the articles of CSV files: `run`, for CSV alone.

    Exit codes: 0 done, 1 failed, if only for one of the files, or no row could be used, 2 wrong
    usage, 3 done but with rejects and --strict, 130 interrupted.
    """
    settings = dataclasses.replace(settings, only="CSV")
    return count_files(files, settings, strict, no_progress, log)


def count_files(
    files: list[str], settings: Settings, strict: bool, no_progress: bool, log: LogSettings
) -> ExitCode:
    """Count files, and report it; returns the exit code."""
    summaries, published = _count(files, settings, log, progress=not no_progress)
    return _report(summaries, published, settings, strict)


def _count(
    files: list[str], settings: Settings, log: LogSettings, progress: bool
) -> tuple[list[Summary], PublishReport | None]:
    messages = Console(stderr=True)
    display = Display(messages, progress)

    def aborting() -> None:
        display.close()
        messages.print("stopped; what was counted is kept; run the same command again to resume")

    interrupts = Interrupts(
        lambda: messages.print("finishing what is in flight; press Ctrl-C again to stop at once"),
        aborting,
    )
    # Whoever sends SIGTERM waits for the process to end, and an aborted run can be resumed.
    with signals(interrupts.request, interrupts.abort), display:
        import uvloop

        from daskingest.pipeline.run import Run  # not before: numpy's threads would take Ctrl-C

        set_up(log, display.warn)

        async def go() -> tuple[list[Summary], PublishReport | None]:
            run = Run(files, settings, display)
            interrupts.attach(run.stop)
            return await run(), run.published

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(go())


def _report(
    summaries: list[Summary], published: PublishReport | None, settings: Settings, strict: bool
) -> ExitCode:
    """Print the summaries; returns the exit code."""
    from daskingest.cli.summaries import nothing_in, print_files, summary_lines
    from daskingest.pipeline.summary import Outcome
    from daskingest.publishing.report import report_lines

    results = Console()
    if len(summaries) == 1:
        print_lines(results, "\n".join(summary_lines(summaries[0], settings)))
    else:
        print_files(results, summaries, settings)
    if published is not None:
        print_lines(results, "\n".join(report_lines(published)))
    stopped = published is not None and published.stopped
    if stopped or any(each.outcome is Outcome.INTERRUPTED for each in summaries):
        results.print("interrupted; run the same command again to resume")
        return ExitCode.INTERRUPTED
    if published is not None and published.refused:
        return ExitCode.FAILED
    failed = [each for each in summaries if each.outcome is Outcome.FAILED or nothing_in(each)]
    print_lines(results, "\n".join(_next_lines(settings)))
    if failed:
        return ExitCode.FAILED
    if strict and any(each.tally.rejected for each in summaries):
        return ExitCode.REJECTS
    return ExitCode.DONE


def _next_lines(settings: Settings) -> Iterator[str]:
    from daskingest.stores.urls import shown_url

    store = shown_url(settings.store)
    option = "" if store == DEFAULT_STORE else f" --store {store}"
    command = command_name()
    yield f"counts are in {store}; look at them with"
    yield f"  {command} publications{option}"
    yield f'  {command} top "NAME OF A PUBLICATION"{option}'
    yield f"  {command} export counts.csv{option}"
    yield f"  {command} explore{option}    (in a browser)"
