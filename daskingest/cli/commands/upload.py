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
from daskingest.errors import DaskingestError, UsageError
from daskingest.progress import Display
from daskingest.settings import UploadSettings
from daskingest.text import size_text, time_text

if TYPE_CHECKING:
    from daskingest.upload.measured import Measured
    from daskingest.upload.report import UploadReport
    from daskingest.upload.run import Upload


def upload(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="As for `run`: a file, or an archive or folder of some."
        ),
    ],
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
    uploads, refused = _send(file, settings, messages, progress=not no_progress)
    reports = [each.report for each in uploads]
    if as_json:
        found = [each.as_dict() for each in reports]
        print_json(found[0] if len(found) == 1 else found)
    else:
        print_lines(
            Console(), "\n".join(line for each in reports for line in report_lines(each, settings))
        )
    for error in [*(each.failure for each in uploads), *refused]:
        if error is not None:
            raise error
    if any(each.outcome == "interrupted" for each in reports):
        messages.print("interrupted; run the same command with --resume to continue")
    codes = [exit_code(each, strict) for each in reports]
    return max(codes, key=(ExitCode.DONE, *_BY_SEVERITY).index)


_BY_SEVERITY = ExitCode.REJECTS, ExitCode.FAILED, ExitCode.INTERRUPTED


def _send(
    file: str, settings: UploadSettings, messages: Console, progress: bool
) -> tuple[list[Upload], list[DaskingestError]]:
    """Send one file after the other. Returns their uploads, and why others can't be read."""
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

        # Not before: numpy's threads would take Ctrl-C.
        from daskingest.sources.gathering import gather
        from daskingest.sources.opening import open_file
        from daskingest.upload.run import Upload

        for warning in warnings(settings):
            print_lines(messages, f"warning: {warning}")

        found = gather([file], lambda each: open_file(each, settings), display)
        if settings.state and len(found.files) > 1:
            raise UsageError(f"--state names a file for one upload, {file} is {len(found.files):,}")

        async def go() -> list[Upload]:
            uploads: list[Upload] = []
            for each in found.files:
                uploads.append(upload := Upload(each, settings, display))
                interrupts.attach(upload.stop)
                await upload()
                if interrupts.asked or upload.failure is not None:
                    break
            return uploads

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            uploads = runner.run(go())
        sent = [each.report.file for each in uploads if each.report.outcome.startswith("sent")]
        found.drop_spooled(sent, display)
        return uploads, [each.error for each in found.refused]


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
