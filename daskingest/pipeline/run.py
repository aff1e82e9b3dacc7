"""Counts CSV files into a store, one after the other, on one cluster."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from distributed import performance_report

from daskingest.errors import UsageError
from daskingest.models import find_model
from daskingest.pipeline.cluster import cluster
from daskingest.pipeline.driver import Driver, Observer, open_driver
from daskingest.pipeline.events import Finished
from daskingest.pipeline.file_run import FileRun
from daskingest.pipeline.patient_rejects import PatientRejects
from daskingest.pipeline.pending import Commit
from daskingest.pipeline.rejects import RejectsFile
from daskingest.pipeline.savers import Work
from daskingest.pipeline.summary import Summary, status_text
from daskingest.progress import Progress
from daskingest.settings import Settings
from daskingest.stores import absolute_url, open_store

_TICK_SECONDS = 0.5


class Run(Observer):
    """A run of several files on one cluster. `await run()` once."""

    def __init__(self, files: list[str], settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._stopping = False
        self._driver: Driver | None = None
        self._current: FileRun | None = None
        self._files = files
        self._rejects: PatientRejects | None = None

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
        store_url = absolute_url(settings.store)
        self._rejects = rejects = PatientRejects(RejectsFile(settings.rejects))
        runs = await asyncio.to_thread(self._open, model, store_url, rejects)
        ticker = asyncio.create_task(self._tick(rejects))
        try:
            for self._current in runs:
                await self._current.write_lost_rejects()
            self._current = None
            if any(not each.finished for each in runs) and not self._stopping:
                work = Work(
                    model,
                    store_url,
                    settings.flush_interval,
                    settings.batch_timeout,
                    settings.recognizer,
                )
                await self._count(runs, work)
        finally:
            ticker.cancel()
        if rejects.given_up:
            self._progress.warn(
                f"{rejects.trouble}: {rejects.given_up:,} rejects were not written; when there is "
                "space, run the same command again, which finds them again"
            )
        return [each.summary for each in runs]

    def _open(self, model: str, store_url: str, rejects: PatientRejects) -> list[FileRun]:
        runs = [FileRun(path, model, self._settings, rejects) for path in self._files]
        with open_store(store_url, create=True) as store:
            known = store.begun()
            for each in runs:
                each.look_up(store, known, self._progress)
        if len({each.id for each in runs}) < len(runs):
            raise UsageError("the same file, or a copy of it, is given twice; give it once")
        return runs

    async def _count(self, runs: list[FileRun], work: Work) -> None:
        settings = self._settings
        self._progress.say("starting the cluster")
        starting = cluster(
            settings.scheduler, settings.workers, work.model, recognizer=work.recognizer
        )
        async with starting as client:
            self._progress.say(f"dashboard: {client.dashboard_link}")
            opening = open_driver(client, work, self)
            async with _report_to(settings.performance_report), opening as driver:
                self._driver = driver
                for each in runs:
                    if not each.finished and not self._stopping:
                        self._current = each
                        await each.count(driver, self._progress)

    async def finished(self, batch: Finished) -> None:
        """See `Observer.finished`."""
        assert self._current is not None
        await self._current.batch_finished(batch)

    def committed(self, commit: Commit) -> None:
        """See `Observer.committed`."""
        if self._current is not None:
            self._current.summary.commits += 1
            self._current.summary.writes += commit.writes

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
