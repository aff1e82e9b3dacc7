"""A run of an upload: from its start, or where it stopped, to its end or an interruption."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from daskingest.errors import DaskingestError
from daskingest.grouping import grouped
from daskingest.pipeline.rejects import RejectsFile
from daskingest.progress import Progress
from daskingest.settings import UploadSettings
from daskingest.sources.datafile import DataFile
from daskingest.upload.answers import UploadError
from daskingest.upload.checkpoint import Checkpoint
from daskingest.upload.parcels import Parcel, length_of, parcels
from daskingest.upload.report import UploadReport, status_text
from daskingest.upload.schedule import Schedule
from daskingest.upload.sender import Delivery, Sender, Stopped, open_client
from daskingest.upload.state import REMEMBERED, UploadState

OUTSTANDING = 1_000
"""Requests of an open loop that may wait for an answer at the same time."""

_AHEAD = 1 << 20  # bytes of articles that are read while earlier ones are sent
_TICK_SECONDS = 0.5
_LATE_SECONDS = 0.05  # of delay, up to which a request is not late


class Upload:
    """An upload of a file: `await upload()` once; `report` and `failure` say how it went."""

    def __init__(self, file: DataFile, settings: UploadSettings, progress: Progress) -> None:
        path = file.origin.name
        self._settings = settings
        self._progress = progress
        self._file = file
        state = UploadState.open(self._file, path, settings)
        rejects = RejectsFile(settings.rejects)
        total = length_of(self._file, settings)
        self.report = UploadReport(path, settings.url, state.run, total, tally=state.tally)
        self.failure: DaskingestError | None = None
        self._checkpoint = Checkpoint(self.report, state, rejects, not settings.open_loop)
        self._schedule = Schedule(settings.rate, settings.open_loop)
        self._limit = OUTSTANDING if settings.open_loop else settings.concurrency
        self._free = asyncio.Semaphore(self._limit)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Send nothing more, and return when outstanding requests have been answered."""
        self._stopping.set()

    async def __call__(self) -> None:
        """Send the articles. Raises UsageError; any other error is `failure`."""
        if self._checkpoint.state.complete:
            self.report.outcome = "sent already"
            return
        client = open_client(self._settings, self._limit)
        self._warn()
        self._checkpoint.begin()
        self._start()
        async with client:
            measured = self.report.measured
            sender = Sender(client, self._settings, self._checkpoint, measured, self._stopping)
            ended = asyncio.Event()
            ticker = asyncio.create_task(self._tick(sender, ended))
            try:
                async with asyncio.TaskGroup() as group:
                    await self._dispatch(sender, group)
            finally:
                ended.set()
                await ticker
        await self._end()

    def _warn(self) -> None:
        """Warn about what earlier uploads have left behind."""
        for note in self._file.notes:
            self._progress.warn(note)
        state = self._checkpoint.state
        if self._settings.resume and state.path.is_absolute():
            self._progress.say(f"the progress of the upload is in {state.path}")
        if state.unsure is not None and time.time() - state.unsure > REMEMBERED:
            self._progress.warn(
                "the upload was interrupted more than a day ago: articles that were being sent "
                "then may count twice"
            )
        if state.aside is not None and not self._settings.open_loop:
            self._progress.warn(
                "an earlier upload is unfinished, and this one starts over; to continue that one "
                f"instead: --resume --state {state.aside}"
            )

    def _start(self) -> None:
        report = self.report
        message = f"sending {report.file} to {report.url}"
        if report.tally.rows:
            message += f", continuing after {report.tally.rows:,} rows"
        self._progress.start(report.total, message, "waiting for answers")

    async def _end(self) -> None:
        """Record the outcome, when all requests have been answered."""
        if not self._stopping.is_set():
            try:
                fingerprint = await asyncio.to_thread(self._file.origin.fingerprint)
                if fingerprint != self._checkpoint.state.begin["fingerprint"]:
                    raise UploadError(f"{self.report.file} changed while it was being sent")
                self.report.outcome = "sent"
                self._checkpoint.state.complete = True
            except DaskingestError as error:
                self._fail(error)
        if self.failure is not None:
            self.report.outcome = "failed"
        await self._checkpoint.save(ended=True)

    async def _dispatch(self, sender: Sender, group: asyncio.TaskGroup) -> None:
        """Start each request once it is due and fewer than the limit are outstanding."""
        try:
            async with aclosing(self._parcels()) as found:
                async for parcel in found:
                    await self._free.acquire()
                    due = self._schedule.due(len(parcel.items), time.monotonic())
                    await sender.pause(due - time.monotonic())
                    group.create_task(self._send(sender, parcel, due))
        except Stopped:
            pass
        except DaskingestError as error:
            self._fail(error)

    async def _send(self, sender: Sender, parcel: Parcel, due: float) -> None:
        measured, started = self.report.measured, time.monotonic()
        if self._settings.open_loop:
            if started - due > _LATE_SECONDS:
                measured.late += 1
            measured.latest = max(measured.latest, started - due)
            started = due
        try:
            delivery = await sender.deliver(parcel) if parcel.items else Delivery()
        except Stopped:
            self._checkpoint.unsure = True
            return
        except DaskingestError as error:
            self._checkpoint.unsure = True
            self._fail(error)
            return
        finally:
            self._free.release()
        if parcel.items and not delivery.missed:
            measured.latencies.add(time.monotonic() - started)
        reasons = Counter(each.reason for each in delivery.rejects)
        self.report.settle(parcel, reasons, delivery.missed)
        self._checkpoint.done(parcel, delivery.rejects)

    async def _parcels(self) -> AsyncGenerator[Parcel]:
        """The parcels to be sent, read ahead on another thread."""
        state = self._checkpoint.state
        wanted = (
            each
            for each in parcels(self._file, self._settings, state.read)
            if not state.is_done(each.number)
        )
        groups = grouped(wanted, lambda each: each.size, _AHEAD)
        ahead = asyncio.create_task(asyncio.to_thread(next, groups, None))
        try:
            while found := await ahead:
                ahead = asyncio.create_task(asyncio.to_thread(next, groups, None))
                for each in found:
                    yield each
        finally:
            ahead.cancel()

    async def _tick(self, sender: Sender, ended: asyncio.Event) -> None:
        """Save and show the progress, until the end."""
        started = time.monotonic()
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _TICK_SECONDS)
            self.report.measured.seconds = time.monotonic() - started
            self._progress.show(
                self.report.position,
                lambda seconds: status_text(self.report, seconds),
                sender.trouble,
            )
            try:
                await self._checkpoint.save()
            except DaskingestError as error:
                self._fail(error)

    def _fail(self, error: DaskingestError) -> None:
        """Stop because of an error; the first one is kept."""
        self.failure = self.failure or error
        self.stop()
