"""`upload`: the upload with its progress, its signals and its report."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.interrupts import Interrupts, signals
from daskingest.cli.options import AsJson, NoProgress, Strict
from daskingest.cli.output import print_json, print_lines
from daskingest.errors import UsageError
from daskingest.progress import Display
from daskingest.settings import UploadSettings
from daskingest.text import size_text, time_text

if TYPE_CHECKING:
    from daskingest.upload.measured import Measured
    from daskingest.upload.report import UploadReport
    from daskingest.upload.run import Upload


def upload(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file of articles, as for `run`.")],
    settings: UploadSettings,
    strict: Strict = False,
    no_progress: NoProgress = False,
    as_json: AsJson = False,
) -> ExitCode:
    """Send the articles of a file to a service.

    What is temporarily refused or not answered is sent again until the service has it, and counts
    once. The first Ctrl-C waits for outstanding answers, the second stops at once; the same command
    with --resume continues, even after it was killed. Without --resume all articles are sent again,
    and count again.

    Exit codes: 0 all sent, 1 failed, 2 wrong usage, 3 sent but with rejects and --strict, 130
    interrupted.
    """
    from daskingest.service.listening import keys_from

    key = next(iter(keys_from(settings.key)), None)
    settings = dataclasses.replace(settings, url=settings.url.rstrip("/"), key=key)
    check(settings)
    messages = Console(stderr=True)
    ended = _send(file, settings, messages, progress=not no_progress)
    if as_json:
        print_json(ended.report.as_dict())
    else:
        print_lines(Console(), "\n".join(report_lines(ended.report, settings)))
    if ended.failure is not None:
        raise ended.failure
    if ended.report.outcome == "interrupted":
        messages.print("interrupted; run the same command with --resume to continue")
    return exit_code(ended.report, strict)


def _send(file: str, settings: UploadSettings, messages: Console, progress: bool) -> Upload:
    display = Display(messages, progress)

    def aborting() -> None:
        display.close()
        messages.print("stopped; --resume continues with what is left")

    interrupts = Interrupts(
        lambda: messages.print(
            "waiting for outstanding answers; press Ctrl-C again to stop at once"
        ),
        aborting,
    )
    with signals(interrupts.request, interrupts.request), display:
        import uvloop

        from daskingest.upload.run import Upload  # not before: numpy's threads would take Ctrl-C

        for warning in warnings(settings):
            print_lines(messages, f"warning: {warning}")

        async def go() -> Upload:
            upload = Upload(file, settings, display)
            interrupts.attach(upload.stop)
            await upload()
            return upload

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(go())


def exit_code(report: UploadReport, strict: bool) -> ExitCode:
    """The exit code of an upload that did not fail."""
    if report.outcome == "interrupted":
        return ExitCode.INTERRUPTED
    if report.tally.missed:
        return ExitCode.FAILED
    return ExitCode.REJECTS if strict and report.tally.rejected else ExitCode.DONE


def check(settings: UploadSettings) -> None:
    """Raise UsageError for options that don't go together."""
    if settings.open_loop and settings.rate is None:
        raise UsageError("expected a --rate with --open-loop: how many articles a second to send")
    if settings.open_loop and settings.resume:
        raise UsageError("--open-loop only measures and sends nothing again; leave out --resume")
    if settings.legacy and settings.articles_per_request > 1:
        raise UsageError(f"--legacy sends one article at a time; found --batch {settings.batch}")


def warnings(settings: UploadSettings) -> list[str]:
    """What others may read or change on its way to the service."""
    found = []
    if settings.insecure:
        found.append(
            "with --insecure any certificate is accepted: others on the network can read and "
            "change what is sent, including the key"
        )
    if settings.key and _is_open(settings.url):
        found.append("the key and the articles are sent unencrypted; use https")
    return found


def _is_open(url: str) -> bool:
    """Whether what is sent to a URL leaves this machine without TLS."""
    import httpx

    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        return False  # nothing is sent
    if address.scheme != "http" or address.host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return True


def report_lines(report: UploadReport, settings: UploadSettings) -> Iterator[str]:
    """What became of an upload."""
    tally, measured = report.tally, report.measured
    yield f"{report.file}: {report.outcome}"
    of_rows = tally.rows - tally.articles
    yield f"  rows      {tally.rows:,} = {tally.articles:,} articles + {of_rows:,} rejects"
    accepted = f"  accepted  {tally.accepted:,} articles"
    if measured.replayed:
        accepted += f"; {measured.replayed:,} requests had been accepted before, and count once"
    yield accepted
    if tally.missed:
        yield f"  missed    {tally.missed:,} articles, not sent again"
    for reason, count in tally.rejected.most_common():
        yield f"  rejected  {count:,} {reason}"
    if tally.rejected:
        yield f"            each is in {settings.rejects}"
    yield from _request_lines(report.measured)


def _request_lines(measured: Measured) -> Iterator[str]:
    """How the requests of this run went."""
    troubles = ", ".join(f"{n:,} {reason}" for reason, n in measured.troubles.most_common())
    yield f"  requests  {measured.requests:,}" + (f"; not taken: {troubles}" if troubles else "")
    if measured.late:
        yield f"  late      {measured.late:,} requests, by up to {_millis(measured.latest)}"
    if measured.accepted and measured.seconds:
        rate, size = measured.rates
        time = time_text(measured.seconds)
        yield f"  time      {time}, {rate:,.1f} articles/s, {size_text(size)}/s"
    if measured.latencies.count:
        found = measured.latencies.summary().items()
        yield "  latency   " + ", ".join(f"{name} {_millis(each)}" for name, each in found)


def _millis(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms"
