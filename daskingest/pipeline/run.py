"""Counts files into a store, group by group, on one cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from distributed import Client, performance_report

from daskingest.errors import DaskingestError, StoreError, UsageError
from daskingest.models import find_model
from daskingest.pipeline.batch_size import even
from daskingest.pipeline.cluster import cluster
from daskingest.pipeline.destination import Destination, destination
from daskingest.pipeline.driver import Driver, Observer, open_driver
from daskingest.pipeline.events import Finished, GivenUp
from daskingest.pipeline.file_group import FileGroup, groups
from daskingest.pipeline.file_place import require_same_files
from daskingest.pipeline.file_run import FileRun, Place
from daskingest.pipeline.patient_rejects import PatientRejects
from daskingest.pipeline.pending import Commit
from daskingest.pipeline.rejects import RejectsFile
from daskingest.pipeline.repeating import repeating
from daskingest.pipeline.saver_places import savers_note
from daskingest.pipeline.savers import Work
from daskingest.pipeline.store_thread import told_if_silent
from daskingest.pipeline.summary import Outcome, Summary, files_text, status_text, total_of
from daskingest.pipeline.tls import Tls
from daskingest.pipeline.waiting import NotThere, SchedulerLost, patiently
from daskingest.progress import Progress, Quiet
from daskingest.publishing.report import PublishReport
from daskingest.settings import Settings
from daskingest.sources.containers import Refused
from daskingest.sources.datafile import DataFile
from daskingest.sources.gathering import Gathered, gather, is_begun_by
from daskingest.sources.opening import open_file
from daskingest.stores import absolute_url
from daskingest.text import size_text

_TICK_SECONDS = 0.5
_LOST_WORKERS_SECONDS = 600.0
_PAUSE_SECONDS = 5.0  # before a store that fails is tried again


class Run(Observer):
    """A run of several files on one cluster. `await run()` once."""

    def __init__(self, files: list[str], settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._stopping = self._counting = False
        self._driver: Driver | None = None
        self._group: FileGroup | None = None
        self._runs: list[FileRun] = []
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
        """Count the files. Raises DaskingestError if there is but one, and it cannot be counted;
        of several, those that can't be have it in their summaries.
        """
        settings = self._settings
        model = find_model(settings.model)
        self._rejects = rejects = PatientRejects(RejectsFile(settings.rejects))
        await asyncio.to_thread(self._open, model, rejects)
        ticker = asyncio.create_task(self._tick(rejects))
        try:
            for each in self._runs:
                if each.error is None:
                    await each.write_lost_rejects()
            await self._count_all(model, rejects)
            self._raise_alone()
            if all(each.summary.outcome is not Outcome.INTERRUPTED for each in self._runs):
                await self._publish_all()
            elif self.published is None and self._destination is not None:
                self.published = self._destination.unpublished()
        finally:
            ticker.cancel()
            left = {Outcome.INTERRUPTED, Outcome.FAILED}
            done = [each.name for each in self._runs if each.summary.outcome not in left]
            self._gathered.drop_spooled(done, self._progress)
        if rejects.given_up:
            self._progress.warn(
                f"{rejects.trouble}: {rejects.given_up:,} rejects were not written; when there is "
                "space, run the same command again, which finds them again"
            )
        return self._summaries

    @property
    def _summaries(self) -> list[Summary]:
        refused = [_failed(each) for each in self._gathered.refused]
        return [each.summary for each in self._runs] + refused

    def _open(self, model: str, rejects: PatientRejects) -> None:
        settings, progress = self._settings, self._progress
        self._gathered = gather(self._files, lambda each: open_file(each, settings), progress)
        self._look_up(model, rejects)
        self._raise_alone()
        for each in self._runs:
            if each.error is not None:
                progress.warn(f"left out: {each.error}")

    def _look_up(self, model: str, rejects: PatientRejects) -> None:
        """Find out what is counted of the files."""
        files, progress = self._gathered.files, self._progress
        sizes = [each.size_of(each.extent) or each.origin.content_size for each in files]
        settings = self._settings
        settings = replace(settings, batch_bytes=even(settings.batch_bytes, sizes))
        before = {id(each.file): each for each in self._runs}
        runs: list[FileRun] = []
        lost: list[FileRun] = []
        for file in files:
            try:
                runs.append(FileRun(file, model, settings, rejects))
            except DaskingestError as error:
                if id(file) not in before:
                    raise
                before[id(file)].fail(error)  # it could be read when the run began
                lost.append(before[id(file)])
        with told_if_silent(progress.warn):
            self._destination = destination(settings, progress)
        self._destination.look_up(runs, progress if len(runs) == 1 else Quiet(progress))
        self._runs = [*apart(runs, progress), *lost]

    def _raise_alone(self) -> None:
        """A single file's error is that of the command."""
        if len(self._summaries) == 1 and (error := self._runs[0].error) is not None:
            raise error

    async def _count_all(self, model: str, rejects: PatientRejects) -> None:
        """Count what waits; after the scheduler was lost, what it had left, if another comes."""
        lost = False
        while any(each.waits for each in self._runs) and not self._stopping:
            try:
                await self._count(model)
                break
            except SchedulerLost:
                if not self._settings.wait_for_scheduler or self._stopping:
                    raise
                lost = True
            except NotThere as error:
                if not lost:
                    raise
                raise DaskingestError(f"{SchedulerLost()}; {error}") from None
            finally:
                self._group = None
            self._progress.warn(f"{SchedulerLost.what}; waiting for one")
            await self._look_up_again(model, rejects)

    async def _look_up_again(self, model: str, rejects: PatientRejects) -> None:
        """Find out what is counted by now, as soon as the store tells."""
        while not self._stopping:
            try:
                await asyncio.to_thread(self._look_up, model, rejects)
            except StoreError as error:
                self._progress.warn(f"waiting: {error}")
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            for each in self._runs:
                if isinstance(each.error, UsageError):  # nobody's: it was right when the run began
                    each.error = DaskingestError(str(each.error))
            return

    async def _count(self, model: str) -> None:
        settings = self._settings
        where = settings.scheduler
        self._progress.say(f"connecting to {where}" if where else "starting the cluster")

        def opening() -> AbstractAsyncContextManager[Client]:
            return cluster(
                settings.scheduler,
                settings.workers,
                model,
                recognizer=settings.recognizer,
                tls=Tls.of(settings),
                savers=max(map(self._savers, self._runs)),
            )

        patience = max(settings.wait_for_scheduler, settings.wait_for_workers or 0.0)
        starting = patiently(opening, patience, lambda: self._stopping)
        self._counting = True
        async with starting as client:
            self._progress.say(f"dashboard: {client.dashboard_link}")
            often = repeating(settings.publish_every, self._publish_meanwhile)
            if settings.scheduler is not None:
                waiting = [each.file.origin for each in self._runs if each.waits]
                await require_same_files(client, waiting)
            async with _report_to(settings.performance_report), often:
                try:
                    for place in {each.place.store_url: each.place for each in self._runs}.values():
                        await self._count_into(place, client, model)
                finally:
                    self._counting = False

    def _savers(self, run: FileRun) -> int:
        """How many write what a file counts to: just one into a file that is published later."""
        here = absolute_url(self._settings.store)
        return self._settings.savers if run.place.store_url == here else 1

    async def _count_into(self, place: Place, client: Client, model: str) -> None:
        url = place.store_url
        runs = [each for each in self._runs if each.waits and each.place.store_url == url]
        if not runs:
            return
        settings = self._settings
        work = Work(
            model,
            url,
            settings.flush_interval,
            settings.batch_timeout,
            settings.recognizer,
            _LOST_WORKERS_SECONDS
            if settings.wait_for_workers is None
            else settings.wait_for_workers,
            savers=self._savers(runs[0]),
        )
        if note := savers_note(settings.savers, url):
            self._progress.say(note)
        async with open_driver(client, work, self) as driver:
            self._driver = driver
            self._announce(runs, place)
            for some in groups(runs):
                if self._stopping:
                    return
                self._group = FileGroup(some, self._progress)
                await self._group.count(driver)

    def _announce(self, runs: list[FileRun], place: Place) -> None:
        total = total_of([each.summary for each in runs])
        if forecast := place.forecast(total.size):
            self._progress.say(forecast)
        if len(self._runs) == 1:
            runs[0].announce(self._progress)
            return
        for each in runs:
            for note in each.file.notes:
                self._progress.warn(note)
        size = f", {size_text(total.size)}" if total.size else ""
        self._progress.start(
            total_of(self._summaries).size,
            f"counting {len(runs):,} files{size}",
            "waiting for counts",
        )

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
        assert self._group is not None
        await self._group.finished(batch)

    def given_up(self, batch: GivenUp) -> None:
        """See `Observer.given_up`."""
        assert self._group is not None
        self._group.given_up(batch)

    def committed(self, commit: Commit) -> None:
        """See `Observer.committed`."""
        if self._group is not None:
            self._group.committed(commit)

    async def _tick(self, rejects: PatientRejects) -> None:
        """Tell how things are, also while nothing gets done."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if self._group is not None:
                store_trouble = self._driver.hindrance if self._driver else ""
                self._show(rejects.trouble or store_trouble)

    def _show(self, trouble: str) -> None:
        found = self._summaries
        handed = self._driver.handed_bytes if self._driver else 0
        if len(found) == 1:
            [summary], text = found, partial(status_text, found[0], handed)
        else:
            summary, text = total_of(found), partial(files_text, found, handed)
        self._progress.show(summary.bytes_done, text, trouble)


def apart(runs: Iterable[FileRun], progress: Progress) -> Iterator[FileRun]:
    """The files without those that another one begins with, which is what they grew to.

    Of two that grew otherwise from the same beginning, only one can be counted now.
    """
    runs = list(runs)
    longest: dict[str, FileRun] = {}
    for each in runs:
        other = longest.setdefault(each.id, each)
        if each.file.origin.size > other.file.origin.size:
            longest[each.id] = each
    for each in runs:
        other = longest[each.id]
        if each is not other and each.error is None:
            if is_begun_by(other.file.origin, each.file.origin):
                progress.warn(f"{each.name} is what {other.name} begins with: left out")
                continue
            each.fail(
                UsageError(
                    f"{each.name} begins like {other.name}: run the same command again when that "
                    "is counted, and the two will be told apart"
                )
            )
        yield each


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
