"""Where a command's files are counted: in their store, or in one of this machine first.

Counting a file takes many commits, and each of them writes many of the same words again. Where
writes are billed, a file is therefore counted into a **staging** store, an SQLite file of this
machine, and what that comes to is published at the end, each word once. The staging store has the
ledger of all batches, by which a run is resumed; the store itself knows which runs are counted
where (`publishing/files.py`), so that no other machine counts them too. A run that an earlier
version began in the store itself goes on there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from daskingest.errors import DaskingestError, StoreError, UsageError
from daskingest.files import state_folder
from daskingest.ledger import BatchId, Ledger
from daskingest.pipeline.file_run import FileRun, Place
from daskingest.pipeline.identity import KnownRuns
from daskingest.progress import Progress
from daskingest.publishing.belonging import prepare
from daskingest.publishing.files import enter_begun, new_runs, staged_here
from daskingest.publishing.publish import publish
from daskingest.publishing.published import PublishedFile
from daskingest.publishing.report import PublishReport
from daskingest.publishing.route import Route, target_digest
from daskingest.settings import Settings
from daskingest.stores import Store, absolute_url, open_store
from daskingest.stores.price_list import distinct_words, writes_text
from daskingest.stores.sharded import Ledgers


class Destination(Protocol):
    """Where files are counted."""

    def look_up(self, runs: list[FileRun], progress: Progress) -> None:
        """Have each file know what is counted of it, and where it is counted.

        Raises DaskingestError.
        """

    def publish(self, progress: Progress, stopped: Callable[[], bool]) -> PublishReport | None:
        """Have the store get what is counted elsewhere first; None if there is nothing to do.

        Raises DaskingestError.
        """

    def unpublished(self) -> PublishReport | None:
        """What to report when that was not begun."""


def destination(settings: Settings, progress: Progress) -> Destination:
    """Where files are counted with these settings. Raises DaskingestError."""
    url = absolute_url(settings.store)
    with open_store(url, create=True, say=progress.say) as store:
        if not store.billed:
            return Direct(url)
    return Staging(Route.between(_staging_url(url, settings.staging), url))


class Direct:
    """Files are counted into their store. See `Destination`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def look_up(self, runs: list[FileRun], progress: Progress) -> None:
        """See `Destination.look_up`."""
        with open_store(self._url, create=True) as store:
            known = KnownRuns(store.begun())
            for each in runs:
                if _look_up(each, store, known, progress):
                    each.goes_to(Place(self._url))

    def publish(self, progress: Progress, stopped: Callable[[], bool]) -> PublishReport | None:
        """See `Destination.publish`."""
        return None

    def unpublished(self) -> PublishReport | None:
        """See `Destination.unpublished`."""
        return None


class Staging:
    """Files are counted into a store of this machine, and published. See `Destination`."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._staged: list[FileRun] = []
        self._published: set[str] = set()  # runs that the target has all of

    def look_up(self, runs: list[FileRun], progress: Progress) -> None:
        """See `Destination.look_up`. From then on the target knows that they are counted here."""
        route = self._route
        with (
            open_store(route.target_url, create=True) as target,
            open_store(route.source, create=True, say=progress.say) as staging,
            PublishedFile(route.published_path) as file,
        ):
            prepare(route, staging, target, file)
            mine = staged_here(file.state.run, route.source_path)
            begun = target.begun(), staging.begun()
            known = KnownRuns(begun[0] | begun[1])
            both = _Both(staging, target, {*begun[0]}, {*begun[1]})
            for each in runs:
                if _look_up(each, both, known, progress):
                    self._place(each, both)
            waiting = {each.run: each.begun for each in self._staged if not each.finished}
            enter_begun(target, new_runs(target, waiting, mine), mine)

    def _place(self, run: FileRun, both: _Both) -> None:
        there, here = both.target(run.run), both.staging(run.run)
        begun = BatchId.begin(run.run)
        if BatchId.done(run.run) in there:
            self._published.add(run.run)
        direct = begun in there and BatchId.staged(run.run) not in there and begun not in here
        if direct:
            forecast = both.forecast
            run.goes_to(
                Place(self._route.target_url, True, lambda size: forecast(size) if size else "")
            )
            return
        self._staged.append(run)
        run.goes_to(Place(self._route.source, forecast=self._forecast))

    def _forecast(self, size: int | None) -> str:
        writes = f"; that takes about {writes_text(distinct_words(size))}" if size else ""
        return (
            f"counting into {self._route.source_path} first; what it comes to is then published to "
            f"{self._route.target}{writes}"
        )

    def unpublished(self) -> PublishReport | None:
        """See `Destination.unpublished`."""
        if not self._staged:
            return None
        return PublishReport(self._route.target, billed=True, stopped=True)

    def publish(self, progress: Progress, stopped: Callable[[], bool]) -> PublishReport | None:
        """See `Destination.publish`."""
        if all(each.run in self._published for each in self._staged):
            return None
        return publish(self._route, progress, stopped)


def _look_up(run: FileRun, store: Ledgers, known: KnownRuns, progress: Progress) -> bool:
    """Look a file up; returns whether it can be counted. What keeps it from that is its error."""
    try:
        run.look_up(store, known, progress)
    except StoreError:
        raise
    except DaskingestError as error:
        run.fail(error)
    return run.error is None


class _Both:
    """What the ledgers of two stores know of runs, read once, and not of runs that they lack."""

    def __init__(
        self, staging: Store, target: Store, there: Collection[str], here: Collection[str]
    ) -> None:
        self._stores = staging, target
        self._begun = here, there
        self._ledgers: dict[str, tuple[Ledger, Ledger]] = {}
        self.forecast = target.forecast

    def staging(self, run: str) -> Ledger:
        """What the staging store has of a run."""
        return self._read(run)[0]

    def target(self, run: str) -> Ledger:
        """What the target has of a run."""
        return self._read(run)[1]

    def ledger(self, run: str) -> Ledger:
        """See `Store.ledger`: of both."""
        here, there = self._read(run)
        return there | here

    def _read(self, run: str) -> tuple[Ledger, Ledger]:
        if run not in self._ledgers:
            here, there = (
                store.ledger(run) if run in begun else {}
                for store, begun in zip(self._stores, self._begun, strict=True)
            )
            self._ledgers[run] = here, there
        return self._ledgers[run]


def _staging_url(target: str, path: str | None) -> str:
    """The URL of the staging store for a target, whose folder exists then."""
    try:
        if path is None:
            place = state_folder("staging") / f"{target_digest(target)}.db"
        else:
            place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"there is no place for what is counted before it is published to {target}: {error}; "
            "name a file with --staging"
        ) from None
    return f"sqlite:///{place.absolute()}"
