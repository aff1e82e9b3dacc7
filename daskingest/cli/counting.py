"""`run-csv`: the run with its progress, its signals and its summary."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from daskingest.cli.signals import interrupts
from daskingest.logs import LogSettings, set_up
from daskingest.settings import DEFAULT_STORE, Settings

if TYPE_CHECKING:
    from daskingest.pipeline.run import Run
    from daskingest.pipeline.summary import Summary

INTERRUPTED = 130


def _nothing() -> None:
    pass


class _Interruption:
    """What Ctrl-C does, before the run exists and while it goes on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._run: Run | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self.close_display: Callable[[], None] = _nothing

    def attach(self, run: Run) -> None:
        self._run, self._loop = run, asyncio.get_running_loop()
        if self._stopped:
            run.stop()

    def stop(self) -> None:
        self._stopped = True
        self._console.print("finishing what is in flight; Ctrl-C again stops at once")
        if self._run and self._loop:
            self._loop.call_soon_threadsafe(self._run.stop)

    def abort(self) -> None:
        """End at once. The workers notice that this process is gone, and end too."""
        with contextlib.suppress(Exception):
            self.close_display()
            self._console.print("stopped; what is in the store stays, run it again to go on")
        os._exit(INTERRUPTED)


def count_files(
    files: list[str], settings: Settings, log: LogSettings, strict: bool, progress: bool
) -> int:
    """Count the files, and print how it went. Returns the exit code; raises DaskingestError."""
    messages, results = Console(stderr=True), Console()
    interruption = _Interruption(messages)
    # Who sends SIGTERM waits for the end, and an aborted run can be resumed.
    with interrupts(interruption.stop, interruption.abort, interruption.abort):
        from daskingest.pipeline.run import Run
        from daskingest.pipeline.summary import Outcome
        from daskingest.progress import Display

        with Display(messages, progress) as display:
            interruption.close_display = display.close
            set_up(log, display.say)

            async def go() -> list[Summary]:
                run = Run(files, settings, display)
                interruption.attach(run)
                return await run()

            summaries = asyncio.run(go())
        for each in summaries:
            print_summary(results, each, settings)
    if any(each.outcome is Outcome.INTERRUPTED for each in summaries):
        results.print("interrupted; run the same command again to go on")
        return INTERRUPTED
    _print_next(results, summaries, settings)
    if strict and any(each.tally.rejected for each in summaries):
        return 3
    return 0


def print_summary(console: Console, summary: Summary, settings: Settings) -> None:
    """What became of a file, in a few lines."""
    from daskingest.pipeline.summary import Outcome
    from daskingest.text import time_text

    tally, fresh = summary.tally, summary.fresh
    rejected = tally.rejected.total()
    lines = [f"{summary.file}: {summary.outcome.value}"]
    if tally.rows or summary.outcome is Outcome.COUNTED:
        sure = summary.outcome is not Outcome.INTERRUPTED and summary.rows == tally.rows
        check = " (all rows accounted for)" if sure else ""
        if settings.limit is not None and tally.articles > settings.limit:
            check = " (earlier runs had counted more than the limit)"
        taken = f"{tally.articles:,} articles + {rejected:,} rejects"
        lines.append(f"  rows      {tally.rows:,} = {taken}{check}")
        lines.append(f"  words     {tally.words:,}")
        dropped = f" ({tally.dropped:,} too long to count)" if tally.dropped else ""
        lines.append(f"  entities  {tally.entities:,}{dropped}")
    for reason, count in tally.rejected.most_common():
        lines.append(f"  rejected  {count:,} {reason}")
    if rejected:
        lines.append(f"            each is in {settings.rejects}")
    if fresh.articles and summary.seconds:
        part = "" if fresh.articles == tally.articles else f" for {fresh.articles:,} articles now"
        lines.append(
            f"  time      {time_text(summary.seconds)}{part}, "
            f"{fresh.words / summary.seconds:,.0f} words/s"
        )
    if fresh.articles and settings.store.startswith("firestore:"):  # which bills them
        lines.append(
            f"  store     {summary.commits:,} commits, {summary.writes:,} writes "
            f"({1000 * summary.writes / fresh.articles:,.0f} for 1,000 articles)"
        )
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _print_next(console: Console, summaries: list[Summary], settings: Settings) -> None:
    option = "" if settings.store == DEFAULT_STORE else f" --store {settings.store}"
    command = command_name()
    lines = [
        f"counts are in {settings.store}; look at them with",
        f"  {command} publications{option}",
        f'  {command} top "NAME OF A PUBLICATION"{option}',
        f"  {command} export counts.csv{option}",
        f"  {command} explore{option}    (in a browser)",
    ]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def command_name() -> str:
    """What to type for this program: its name where the shell finds it, else as it was called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m daskingest"
    return "daskingest" if shutil.which("daskingest") else str(called)
