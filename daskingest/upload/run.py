"""An upload from its beginning, or where it was, to its end or an interruption."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from daskingest.articles import Reject
from daskingest.errors import DaskingestError
from daskingest.grouping import grouped
from daskingest.pipeline.rejects import RejectsFile
from daskingest.progress import Progress
from daskingest.settings import UploadSettings
from daskingest.sources.csvfile import open_csv
from daskingest.upload.answers import UploadError
from daskingest.upload.pace import Pace
from daskingest.upload.parcels import Parcel, length_of, parcels
from daskingest.upload.report import Report, status_text
from daskingest.upload.sender import Delivery, Sender, Stopped, open_client
from daskingest.upload.state import REMEMBERED, State

OUTSTANDING = 1_000
"""Requests of an open loop that may wait for an answer at once."""

_AHEAD = 1 << 20  # bytes of articles that are read together, while the ones before are sent
_TICK_SECONDS = 0.5
_LATE_SECONDS = 0.05  # that a request is not called late for


class Upload:
    """An upload of a file. `await upload()` it once; `report` and `failure` say how it went."""

    def __init__(self, path: str, settings: UploadSettings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._file = open_csv(path, settings.content_column, settings.publication_column)
        self._state = State.open(self._file, path, settings)
        self._rejects = RejectsFile(settings.rejects)
        self._unsure = False  # whether the service has a parcel that is not done with
        self._new_rejects: list[Reject] = []
        self._pace = Pace(settings.rate, settings.open_loop)
        self._places = OUTSTANDING if settings.open_loop else settings.concurrency
        self._free = asyncio.Semaphore(self._places)
        self._saving = asyncio.Lock()
        self._stopping = asyncio.Event()
        self.report = Report(path, settings.url, self._state.run, tally=self._state.tally)
        self.report.total = length_of(self._file, settings)
        self.failure: DaskingestError | None = None

    def stop(self) -> None:
        """Send nothing more; return when what is under way was answered."""
        self._stopping.set()

    async def __call__(self) -> None:
        """Send what is to be sent. Raises UsageError; what else went wrong is `failure`."""
        settings, state = self._settings, self._state
        if state.complete:
            self.report.outcome = "sent already"
            return
        client = open_client(settings, self._places)
        if state.unsure is not None and time.time() - state.unsure > REMEMBERED:
            self._progress.say(
                "the upload broke off more than a day ago: what was under way then may count twice"
            )
        if state.aside is not None and not settings.open_loop:
            self._progress.say(
                "an earlier upload is unfinished, and this one begins anew; to go on with that one "
                f"instead: --resume --state {state.aside}"
            )
        if not settings.open_loop:
            state.save(state.text(self._unsure_at(ended=False)))
        self._start()
        async with client:
            sender = Sender(client, settings, state, self._save, self.report, self._stopping)
            ended = asyncio.Event()
            ticker = asyncio.create_task(self._tick(sender, ended))
            try:
                async with asyncio.TaskGroup() as group:
                    await self._dispatch(sender, group)
            finally:
                ended.set()
                await ticker
        await self._end()

    def _start(self) -> None:
        report = self.report
        message = f"sending {report.file} to {report.url}"
        if report.tally.rows:
            message += f", going on after {report.tally.rows:,} rows"
        self._progress.start(report.total, message, "waiting for answers")

    async def _end(self) -> None:
        """All that was sent is answered: note how it ended."""
        if not self._stopping.is_set():
            try:
                fingerprint = await asyncio.to_thread(self._file.fingerprint)
                if fingerprint != self._state.begin["fingerprint"]:
                    raise UploadError(f"{self.report.file} was changed while it was sent")
                self.report.outcome, self._state.complete = "sent", True
            except DaskingestError as error:
                self._fail(error)
        if self.failure is not None:
            self.report.outcome = "failed"
        await self._save(ended=True)

    async def _dispatch(self, sender: Sender, group: asyncio.TaskGroup) -> None:
        """Start each request when it is due and there is a place for it."""
        try:
            async with aclosing(self._parcels()) as found:
                async for parcel in found:
                    await self._free.acquire()
                    due = self._pace.due(len(parcel.items), time.monotonic())
                    await sender.pause(due - time.monotonic())
                    group.create_task(self._send(sender, parcel, due))
        except Stopped:
            pass
        except DaskingestError as error:
            self._fail(error)

    async def _send(self, sender: Sender, parcel: Parcel, due: float) -> None:
        report, begun = self.report, time.monotonic()
        if self._settings.open_loop:
            if begun - due > _LATE_SECONDS:
                report.late += 1
            report.latest = max(report.latest, begun - due)
            begun = due
        try:
            delivery = await sender.deliver(parcel) if parcel.items else Delivery()
        except Stopped:
            self._unsure = True
            return
        except DaskingestError as error:
            self._unsure = True
            self._fail(error)
            return
        finally:
            self._free.release()
        if parcel.items and not delivery.missed:
            report.latencies.add(time.monotonic() - begun)
        report.settle(parcel, Counter(each.reason for each in delivery.rejects), delivery.missed)
        self._new_rejects += parcel.rejects + delivery.rejects
        self._state.done(parcel.number)

    async def _parcels(self) -> AsyncGenerator[Parcel]:
        """What is to be sent, read on another thread, some articles ahead."""
        wanted = (
            each
            for each in parcels(self._file, self._settings)
            if not self._state.is_done(each.number)
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
        """Until the end, save how far it is, and tell."""
        started = time.monotonic()
        while not ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _TICK_SECONDS)
            self.report.seconds = time.monotonic() - started
            self._progress.show(
                self.report.position,
                lambda seconds: status_text(self.report, seconds),
                sender.trouble,
            )
            try:
                await self._save()
            except DaskingestError as error:
                self._fail(error)

    async def _save(self, ended: bool = False) -> None:
        """Write what is done, and what is halved."""

        def write() -> None:
            self._rejects.write(self.report.file, rejects)
            if not self._settings.open_loop:
                self._state.save(text)

        async with self._saving:
            text, rejects = self._state.text(self._unsure_at(ended)), self._new_rejects
            self._new_rejects = []
            try:
                await asyncio.to_thread(write)
            except DaskingestError:
                self._new_rejects = rejects + self._new_rejects
                raise

    def _unsure_at(self, ended: bool) -> float | None:
        """When requests were under way that may not be done with."""
        if self._state.unsure is not None and not self.report.latencies.count:
            return self._state.unsure  # those of the run before, which are the first to be sent
        return time.time() if self._unsure or not ended else None

    def _fail(self, error: DaskingestError) -> None:
        """Stop, because of what went wrong first."""
        self.failure = self.failure or error
        self.stop()
