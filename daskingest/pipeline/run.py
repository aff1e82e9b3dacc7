"""Counts CSV files into a store, one after the other, on one cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from distributed import Client, performance_report

from daskingest.errors import StoreError, UsageError
from daskingest.models import find_model
from daskingest.pipeline.cluster import cluster
from daskingest.pipeline.destination import Destination, destination
from daskingest.pipeline.driver import Driver, Observer, open_driver
from daskingest.pipeline.events import Finished
from daskingest.pipeline.file_run import FileRun
from daskingest.pipeline.patient_rejects import PatientRejects
from daskingest.pipeline.pending import Commit
from daskingest.pipeline.rejects import RejectsFile
from daskingest.pipeline.repeating import repeating
from daskingest.pipeline.savers import Work
from daskingest.pipeline.summary import Outcome, Summary, status_text
from daskingest.progress import Progress
from daskingest.publishing.report import PublishReport
from daskingest.settings import Settings
from daskingest.sources.containers import Refused
from daskingest.sources.datafile import DataFile
from daskingest.sources.gathering import Gathered, gather
from daskingest.sources.opening import open_file

_TICK_SECONDS = 0.5
_PAUSE_SECONDS = 5.0  # before a store that fails is tried again


class Run(Observer):
    """A run of several files on one cluster. `await run()` once."""

    def __init__(self, files: list[str], settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._stopping = self._counting = False
        self._driver: Driver | None = None
        self._current: FileRun | None = None
        self._files = files
        self._gathered: Gathered[DataFile] = Gathered()
        self._rejects: PatientRejects | None = None
        self._destination: Destination | None = None
        self.published: PublishReport | None = None
        """What was published, if counts were kept elsewhere first."""

    def stop(self) -> None:
        """Finish what is in flight, then return."""
        self._stopping = True
        if self._rejects is not None:
            self._rejects.stop()
        if self._driver is not None:
            self._driver.stop()

    async def __call__(self) -> list[Summary]:
        """Count the files. Raises DaskingestError."""
        settings = self._settings
        if not self._files:
            raise UsageError("no file: expected the path of a CSV file")
        model = find_model(settings.model)
        self._rejects = rejects = PatientRejects(RejectsFile(settings.rejects))
        runs = await asyncio.to_thread(self._open, model, rejects)
        ticker = asyncio.create_task(self._tick(rejects))
        try:
            for self._current in runs:
                await self._current.write_lost_rejects()
            self._current = None
            if any(not each.finished for each in runs) and not self._stopping:
                await self._count(runs, model)
            if all(each.summary.outcome is not Outcome.INTERRUPTED for each in runs):
                await self._publish_all()
            elif self.published is None and self._destination is not None:
                self.published = self._destination.unpublished()
        finally:
            ticker.cancel()
            self._drop_spooled(runs)
        if rejects.given_up:
            self._progress.warn(
                f"{rejects.trouble}: {rejects.given_up:,} rejects were not written; when there is "
                "space, run the same command again, which finds them again"
            )
        return [each.summary for each in runs] + [_failed(each) for each in self._gathered.refused]

    def _open(self, model: str, rejects: PatientRejects) -> list[FileRun]:
        settings = self._settings
        self._gathered = gather(self._files, lambda each: open_file(each, settings), self._progress)
        runs = [FileRun(each, model, settings, rejects) for each in self._gathered.files]
        self._destination = destination(self._settings, self._progress)
        self._destination.look_up(runs, self._progress)
        if len({each.id for each in runs}) < len(runs):
            raise UsageError("the same file, or a copy of it, is given twice; give it once")
        return runs

    def _drop_spooled(self, runs: list[FileRun]) -> None:
        """Remove what was copied from standard input, when all of it is counted."""
        outcomes = {each.name: each.summary.outcome for each in runs}
        for place, names in self._gathered.spooled.items():
            found = {outcomes.get(each, Outcome.COUNTED) for each in names}
            if Outcome.INTERRUPTED not in found:
                place.unlink(missing_ok=True)
                continue
            self._progress.warn(f"to go on with it, give {place} instead of standard input")

    async def _count(self, runs: list[FileRun], model: str) -> None:
        settings = self._settings
        self._progress.say("starting the cluster")
        starting = cluster(
            settings.scheduler, settings.workers, model, recognizer=settings.recognizer
        )
        self._counting = True
        async with starting as client:
            self._progress.say(f"dashboard: {client.dashboard_link}")
            often = repeating(settings.publish_every, self._publish_meanwhile)
            async with _report_to(settings.performance_report), often:
                for store_url in {each.store_url: None for each in runs if not each.finished}:
                    its = [each for each in runs if each.store_url == store_url]
                    await self._count_into(store_url, its, client, model)
                self._counting = False
        self._current = None

    async def _count_into(
        self, store_url: str, runs: list[FileRun], client: Client, model: str
    ) -> None:
        settings = self._settings
        work = Work(
            model,
            store_url,
            settings.flush_interval,
            settings.batch_timeout,
            settings.recognizer,
        )
        async with open_driver(client, work, self) as driver:
            self._driver = driver
            for each in runs:
                if not each.finished and not self._stopping:
                    self._current = each
                    await each.count(driver, self._progress)

    async def _publish_meanwhile(self) -> None:
        """What is left when all is counted is published after that, where it can be seen."""
        await self._publish(Progress(), lambda: self._stopping or not self._counting)

    async def _publish_all(self) -> None:
        """Publish what is left; waits for a store that fails, for the counts are not lost."""
        while True:
            try:
                return await self._publish(self._progress, lambda: self._stopping)
            except StoreError as error:
                if self._stopping:
                    raise
                self._progress.show(0, lambda seconds: "", str(error))
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _publish(self, progress: Progress, stopped: Callable[[], bool]) -> None:
        assert self._destination is not None
        found = await asyncio.to_thread(self._destination.publish, progress, stopped)
        if found is not None:
            self.published = found.after(self.published)

    async def finished(self, batch: Finished) -> None:
        """See `Observer.finished`."""
        assert self._current is not None
        await self._current.batch_finished(batch)

    def committed(self, commit: Commit) -> None:
        """See `Observer.committed`."""
        if self._current is not None:
            self._current.summary.written.commits += 1
            self._current.summary.written.writes += commit.writes

    async def _tick(self, rejects: PatientRejects) -> None:
        """Tell how things are, also while nothing gets done."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if self._current is not None:
                store_trouble = self._driver.trouble if self._driver else ""
                self._show(self._current.summary, rejects.trouble or store_trouble)

    def _show(self, summary: Summary, trouble: str) -> None:
        self._progress.show(
            summary.bytes_done, lambda seconds: status_text(summary, seconds), trouble
        )


def _failed(refused: Refused) -> Summary:
    return Summary(refused.name, None, Outcome.FAILED, error=str(refused.error))


def _report_to(path: str | None) -> AbstractAsyncContextManager[object]:
    """Dask's report of what happens inside the context, written to a file at its end."""
    if path is None:
        return nullcontext()
    try:
        Path(path).touch()
    except OSError as error:
        raise UsageError(f"cannot write the performance report {path}: {error.strerror}") from None
    report: AbstractAsyncContextManager[object] = performance_report(filename=path)
    return report
