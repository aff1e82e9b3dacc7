"""`upload`: the upload with its progress, its signals and its report."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
from rich.console import Console

from daskingest.cli.signals import interrupts
from daskingest.errors import UsageError
from daskingest.progress import Display
from daskingest.settings import UploadSettings
from daskingest.text import size_text, time_text
from daskingest.upload.report import Report

if TYPE_CHECKING:
    from daskingest.upload.run import Upload

INTERRUPTED = 130


class _Interruption:
    """What Ctrl-C does, before there is an upload and while it goes on."""

    def __init__(self, console: Console, close_display: Callable[[], None]) -> None:
        self._console = console
        self._close_display = close_display
        self._upload: Upload | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    def attach(self, upload: Upload) -> None:
        self._upload, self._loop = upload, asyncio.get_running_loop()
        if self._stopped:
            upload.stop()

    def stop(self) -> None:
        self._stopped = True
        self._console.print(
            "waiting for the answers that are under way; Ctrl-C again stops at once"
        )
        if self._upload and self._loop:
            self._loop.call_soon_threadsafe(self._upload.stop)

    def abort(self) -> None:
        with contextlib.suppress(Exception):
            self._close_display()
            self._console.print("stopped; --resume goes on with what is left")
        os._exit(INTERRUPTED)


def upload_file(
    path: str, settings: UploadSettings, strict: bool, progress: bool, as_json: bool
) -> int:
    """Send the file, and print how it went. Returns the exit code; raises DaskingestError."""
    check(settings)
    messages, results = Console(stderr=True), Console()
    display = Display(messages, progress)
    interruption = _Interruption(messages, display.close)
    with interrupts(interruption.stop, interruption.abort, interruption.stop), display:
        import uvloop

        from daskingest.upload.run import Upload  # not before: numpy's threads would take Ctrl-C

        for warning in warnings(settings):
            messages.print(f"warning: {warning}", highlight=False, markup=False, soft_wrap=True)

        async def go() -> Upload:
            upload = Upload(path, settings, display)
            interruption.attach(upload)
            await upload()
            return upload

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            upload = runner.run(go())
    report = upload.report
    if as_json:
        print(json.dumps(report.as_dict(), ensure_ascii=False, indent=2))
    else:
        text = report_text(report, settings)
        results.print(text, highlight=False, markup=False, soft_wrap=True)
    if upload.failure is not None:
        raise upload.failure
    if report.outcome == "interrupted":
        messages.print("interrupted; the same command with --resume goes on where it was")
    return exit_code(report, strict)


def exit_code(report: Report, strict: bool) -> int:
    """What an upload that did not fail ends with."""
    if report.outcome == "interrupted":
        return INTERRUPTED
    if report.tally.missed:
        return 1
    return 3 if strict and report.tally.rejected else 0


def check(settings: UploadSettings) -> None:
    """Raise UsageError for options that don't go together."""
    if settings.open_loop and settings.rate is None:
        raise UsageError("expected a --rate with --open-loop: how many articles a second to send")
    if settings.open_loop and settings.resume:
        raise UsageError("--open-loop measures, and sends nothing again: leave out --resume")
    if settings.legacy and settings.batch > 1:
        raise UsageError(f"--legacy sends one article at a time: found --batch {settings.batch}")


def warnings(settings: UploadSettings) -> list[str]:
    """What may be read or changed on the way to the service."""
    found = []
    if settings.insecure:
        found.append(
            "with --insecure any certificate is taken: whoever is on the way can read and change "
            "what is sent, the key too"
        )
    if settings.key and _is_open(settings.url):
        found.append("the key and the articles go over the network as they are: use https")
    return found


def _is_open(url: str) -> bool:
    """Whether what is sent to a URL leaves this machine without TLS."""
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


def report_text(report: Report, settings: UploadSettings) -> str:
    """What became of an upload, in a few lines."""
    tally = report.tally
    rejected = tally.rejected.total()
    of_rows = tally.rows - tally.articles
    lines = [
        f"{report.file}: {report.outcome}",
        f"  rows      {tally.rows:,} = {tally.articles:,} articles + {of_rows:,} rejects",
        f"  accepted  {tally.accepted:,} articles",
    ]
    if report.replayed:
        lines[-1] += f"; {report.replayed:,} requests had been taken already, and count once"
    if tally.missed:
        lines.append(f"  missed    {tally.missed:,} articles, and not sent again")
    lines += [f"  rejected  {n:,} {reason}" for reason, n in tally.rejected.most_common()]
    if rejected:
        lines.append(f"            each is in {settings.rejects}")
    troubles = ", ".join(f"{n:,} {reason}" for reason, n in report.troubles.most_common())
    lines.append(
        f"  requests  {report.requests:,}" + (f"; not taken: {troubles}" if troubles else "")
    )
    if report.late:
        lines.append(f"  late      {report.late:,} requests, by up to {_millis(report.latest)}")
    if report.fresh and report.seconds:
        rate, size = report.fresh / report.seconds, report.size / report.seconds
        lines.append(
            f"  time      {time_text(report.seconds)}, {rate:,.1f} articles/s, {size_text(size)}/s"
        )
    if report.latencies.count:
        found = report.latencies.summary().items()
        lines.append("  latency   " + ", ".join(f"{name} {_millis(each)}" for name, each in found))
    return "\n".join(lines)


def _millis(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms"
