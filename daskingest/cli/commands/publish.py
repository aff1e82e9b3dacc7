"""`publish`: a local store's counts into another store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from rich.console import Console

from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.interrupts import Interrupts, signals
from daskingest.cli.options import NoProgress
from daskingest.cli.output import print_lines
from daskingest.progress import Display
from daskingest.settings import DEFAULT_STORE, Option

if TYPE_CHECKING:
    from daskingest.publishing.report import PublishReport


def publish(
    target: Annotated[
        str,
        Option(
            "The store to write to: firestore://PROJECT[/DATABASE], "
            "postgresql://USER@HOST/DATABASE or sqlite:///PATH.",
            name="--to",
        ),
    ],
    source: Annotated[
        str, Option("The store to publish, a file of this machine: sqlite:///PATH.", name="--from")
    ] = DEFAULT_STORE,
    dry_run: Annotated[bool, Option("Only say what would be written.")] = False,
    no_progress: NoProgress = False,
) -> ExitCode:
    """Write a local store's counts to another store.

    Each word is written once. Repeat it whenever there are new counts: it writes only what changed.
    You can interrupt or even kill it at any time: the same command goes on, and nothing counts
    twice. Several stores can be published to one. A file beside the store says what is published
    already: keep the two together.

    Exit codes: 0 done, 1 failed, or the other store refused some of it, 2 wrong usage, 130
    interrupted.
    """
    results = Console()
    if dry_run:
        from daskingest.publishing.publish import forecast
        from daskingest.publishing.route import Route

        print_lines(results, forecast(Route.between(source, target)))
        return ExitCode.DONE
    report = _publish(source, target, progress=not no_progress)
    from daskingest.publishing.report import report_lines

    print_lines(results, "\n".join(report_lines(report)))
    if report.stopped:
        results.print("interrupted; run the same command again to go on")
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if report.refused else ExitCode.DONE


def _publish(source: str, target: str, progress: bool) -> PublishReport:
    messages = Console(stderr=True)
    display = Display(messages, progress)

    def aborting() -> None:
        display.close()
        messages.print("stopped; run the same command again to go on")

    interrupts = Interrupts(
        lambda: messages.print("finishing a commit; press Ctrl-C again to stop at once"), aborting
    )
    with signals(interrupts.request, interrupts.abort), display:
        # Not before: the threads of numpy and pyarrow would take Ctrl-C.
        from daskingest.publishing.publish import publish
        from daskingest.publishing.route import Route

        return publish(Route.between(source, target), display, lambda: interrupts.asked)
