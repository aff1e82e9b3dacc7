"""Publishes a store: plans what the target lacks, and has it sent, each count once."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from daskingest.errors import DaskingestError, UsageError
from daskingest.progress import Progress
from daskingest.publishing.belonging import astray, prepare, starts_anew
from daskingest.publishing.changes import ARTICLES, Document, Fewer, contents
from daskingest.publishing.files import enter_begun, enter_done, new_runs, staged_here
from daskingest.publishing.published import Astray, PublishedFile
from daskingest.publishing.report import PublishReport, forecast_text, status_text
from daskingest.publishing.route import Route
from daskingest.publishing.sending import MOST, Sender
from daskingest.stores import Replaced, Store, open_store


class _Stopped(Exception):
    pass


def publish(route: Route, progress: Progress, stopped: Callable[[], bool]) -> PublishReport:
    """Write what of the source the target lacks, and say before what that takes.

    Waits for a target that fails meanwhile. Ends early when `stopped`, or killed; the next time it
    goes on. Raises DaskingestError.
    """
    open_store(route.source).close()  # it must exist
    with (
        open_store(route.source, create=True, say=progress.say) as source,
        open_store(route.target_url, create=True, say=progress.say) as target,
        PublishedFile(route.published_path) as file,
    ):
        publisher = _Publisher(route, target, file, progress, stopped)
        started = time.monotonic()
        try:
            publisher.publish(source)
        except _Stopped:
            publisher.report.stopped = True
        except Replaced:
            raise DaskingestError(
                f"another daskingest, started later, publishes {route.source} to {route.target}: "
                "it goes on, and this one ends; nothing is counted twice"
            ) from None
        except Fewer as error:
            raise _fell(route, error) from None
        except Astray as error:
            raise astray(route, str(error)) from None
        publisher.report.seconds = time.monotonic() - started
        return publisher.report


class _Publisher:
    def __init__(
        self,
        route: Route,
        target: Store,
        file: PublishedFile,
        progress: Progress,
        stopped: Callable[[], bool],
    ) -> None:
        self.report = PublishReport(route.target, target.billed)
        self._route = route
        self._target = target
        self._file = file
        self._progress = progress
        self._stopped = stopped
        self._sender = Sender(target, file, self._check, self._show)

    def publish(self, source: Store) -> None:
        """See the function. The source is read before anything is sent."""
        route, file, sender, report = self._route, self._file, self._sender, self.report
        epoch = prepare(route, source, self._target, file)
        sender.take_over()
        done = source.finished()  # all that these counted is in the plan
        self._progress.say(f"comparing {route.source} with what was published of it")
        planned = file.plan(sender.hold.epoch, epoch, contents(source, self._check))
        begun = source.begun()  # what is in the plan is of these
        source.close()
        staged = staged_here(file.state.run, route.source_path)
        new = new_runs(self._target, begun, staged)
        report.planned = sum(planned)
        writes = _writes(report.planned, len(new))
        self._progress.say(forecast_text(planned, writes, self._target.billed, route.target))
        if report.planned:
            self._progress.start(report.planned, f"publishing to {route.target}", "")
        report.writes += enter_begun(self._target, new, staged, [sender.hold])
        self._send()
        if not sender.refused:
            report.writes += enter_done(self._target, done, sender.hold)

    def _send(self) -> None:
        report, sender = self.report, self._sender
        try:
            for parcel in sender.send():
                report.publications += (its := sum(row[2] == ARTICLES for row in parcel.rows))
                report.words += len(parcel.rows) - its
                self._show("")
        finally:
            report.commits, report.refused = sender.commits, sender.refused
            report.writes += sender.writes

    def _check(self) -> None:
        if self._stopped():
            raise _Stopped

    def _show(self, trouble: str) -> None:
        status = partial(status_text, self.report.documents, self.report.planned)
        self._progress.show(self.report.documents, status, trouble)


def forecast(route: Route) -> str:
    """What `publish` would write, in a sentence. Changes nothing. Raises DaskingestError."""
    with (
        open_store(route.source) as source,
        open_store(route.target_url) as target,
        tempfile.TemporaryDirectory() as folder,
    ):
        path = route.published_path
        known = path.exists()
        with PublishedFile(path if known else Path(folder) / "none", read_only=known) as file:
            state = file.state
            anew = starts_anew(route, source, target, state)
        with PublishedFile(Path(folder) / "none" if anew or not known else path) as file:
            try:
                planned = _count(file.changes(contents(source, lambda: None)))
            except Fewer as error:
                raise _fell(route, error) from None
        new = new_runs(target, source.begun(), staged_here(state.run, route.source_path))
    writes = _writes(sum(planned), len(new))
    return forecast_text(planned, writes, target.billed, route.target)


def _count(documents: Iterable[Document]) -> tuple[int, int]:
    words = publications = 0
    for word, *_ in documents:
        publications += word == ARTICLES
        words += word != ARTICLES
    return words, publications


def _writes(documents: int, runs: int) -> int:
    """What so many documents take, and so many runs of files that the target does not know."""
    return documents + 3 * (math.ceil(documents / MOST) + runs)


def _fell(route: Route, error: Fewer) -> UsageError:
    return UsageError(
        f"{route.source} has fewer counts of {str(error)!r} than were published to {route.target}; "
        "counts only grow: put the store back that was published, or publish this one to another"
    )
