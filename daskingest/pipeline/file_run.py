"""The run of one file: begins or resumes it, counts the file, and checks the rows at the end."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Iterator

from daskingest.articles import Article
from daskingest.errors import DaskingestError, UsageError
from daskingest.ledger import BatchId, Begun, Counted, Done, Ledger, Split
from daskingest.models import model_identity
from daskingest.pipeline.batch import Batch, ListedBatches
from daskingest.pipeline.driver import Driver
from daskingest.pipeline.events import Finished
from daskingest.pipeline.rejects import RejectsFile
from daskingest.pipeline.summary import Outcome, Summary
from daskingest.progress import Progress
from daskingest.settings import Settings
from daskingest.sources.boundaries import ranges
from daskingest.sources.csvfile import CsvRange, open_csv
from daskingest.stores import Store
from daskingest.text import size_text

_FORMAT = 1  # of ranges and batch ids: changes when the same file would be cut differently

_SAME = {
    "content": "--content-column",
    "publication": "--publication-column",
    "model": "--model",
    "format": "version of daskingest",
}
"""What must be the same as when the run began, and the option that sets it."""

log = logging.getLogger(__name__)


class FileRun:
    """The run of one file. Its id depends on the file's content, not on its path.

    Creating one reads the file: do it on a thread. Raises UsageError if it is not a CSV file.
    """

    def __init__(self, path: str, model: str, settings: Settings, rejects: RejectsFile) -> None:
        self.name = path
        self.finished = False
        self._settings = settings
        self._rejects = rejects
        self._file = open_csv(path, settings.content_column, settings.publication_column)
        self.id = self._file.fingerprint()
        layout = self._file.layout
        self._begun = Begun(
            file=path,
            size=self._file.size,
            content=layout.columns.content,
            publication=layout.columns.publication,
            model=model_identity(model),
            batch_bytes=settings.batch_bytes,
            format=_FORMAT,
        )
        size = None if self._file.compression else self._file.size - layout.data_start
        self.summary = Summary(path, size)
        self._limited = False
        self._forecast = ""

    def look_up(self, store: Store) -> None:
        """Resume from what a store has of this run, and write rejects that an earlier run lost.

        Raises UsageError if the run began with other options.
        """
        ledger = store.ledger(self.id)
        self._resume(ledger)
        if self.finished and self.summary.tally.rejected:
            self._find_lost_rejects(ledger)
        self.summary.billed = store.billed
        self._forecast = store.forecast(self.summary.size) if self.summary.size else ""

    def _resume(self, ledger: Ledger) -> None:
        begun, done = ledger.get(BatchId.begin(self.id)), ledger.get(BatchId.done(self.id))
        if isinstance(begun, Begun):
            for field, option in _SAME.items():
                then, now = getattr(begun, field), getattr(self._begun, field)
                if then != now:
                    raise UsageError(
                        f"{self.name} was begun in this store with the {option} {then!r}; "
                        f"with {now!r} its articles would be counted twice: "
                        f"use the same {option}, or another --store"
                    )
            self._begun = dataclasses.replace(self._begun, batch_bytes=begun.batch_bytes)
        if isinstance(done, Done):
            self.finished = True
            self.summary.outcome = Outcome.ALREADY
            self.summary.tally = done.tally
            self.summary.rows = done.tally.rows

    def _find_lost_rejects(self, ledger: Ledger) -> None:
        """Write the rejects that the finished run did not write because it was killed."""
        for each in ranges(self._file, self._begun.batch_bytes):
            pending = [self._batch(each)]
            while pending:
                batch = pending.pop()
                match ledger.get(batch.id):
                    case Split(at):
                        pending += batch.parts(at)
                    case Counted(tally):
                        self._rejects.add(self.name, batch, tally, None)

    async def count(self, driver: Driver, progress: Progress) -> None:
        """Count what the store does not have yet. Raises DaskingestError."""
        await driver.enter(BatchId.begin(self.id), self._begun)
        ledger = await driver.ledger(self.id)
        self._resume(ledger)
        if self.finished:
            return  # another run was faster
        self._announce(progress)
        started = time.monotonic()
        complete = await driver.run(ListedBatches(self._batches()), ledger)
        summary = self.summary
        summary.seconds = time.monotonic() - started
        if not complete:
            return
        await asyncio.to_thread(self._check)
        summary.outcome = Outcome.LIMITED if self._limited else Outcome.COUNTED
        if not self._limited:
            done = Done(summary.tally, self.name, int(time.time()))
            await driver.enter(BatchId.done(self.id), done)
        log.info(
            summary.outcome.value,
            extra={
                "file": self.name,
                "articles": summary.tally.articles,
                "rejected": summary.tally.rejected.total(),
                "seconds": round(summary.seconds, 3),
            },
        )

    def _announce(self, progress: Progress) -> None:
        """Announce the run, and what is unusual about it."""
        if self._begun.batch_bytes != self._settings.batch_bytes:
            progress.say(f"going on with the batches of {self._begun.batch_bytes:,} bytes")
        if not self._file.layout.regular:
            progress.say(
                f"{self.name} does not quote as RFC 4180 has it: its rows' ends are found by "
                "reading it in one go, which is slower than counting quotes"
            )
        if self._file.compression:
            progress.say(f"{self.name} is compressed: one process unpacks it for the workers")
        if self._forecast:
            progress.say(self._forecast)
        log.info("counting", extra={"file": self.name, "run": self.id})
        size = f", {size_text(self.summary.size)}" if self.summary.size else ""
        progress.start(self.summary.size, f"counting {self.name}{size}", "waiting for counts")

    async def batch_finished(self, finished: Finished) -> None:
        """The store has a batch, from this run or an earlier one."""
        batch, tally, summary = finished.batch, finished.tally, self.summary
        size = batch.source.size >> len(batch.id.parts)  # an estimate for a part
        summary.tally.merge(tally)
        summary.bytes_done += size
        if finished.fresh:
            summary.fresh.merge(tally)
            summary.fresh_bytes += size
        if tally.rejected:
            write = self._rejects.add
            await asyncio.to_thread(write, self.name, batch, tally, finished.rejects)

    def _batch(self, part: CsvRange) -> Batch:
        return Batch(BatchId(self.id, str(part.start)), part)

    def _batches(self) -> Iterator[Batch]:
        left = self._settings.limit
        for each in ranges(self._file, self._begun.batch_bytes):
            batch, rows = self._batch(each), each.row_count
            if left is not None:
                if left <= 0:
                    self._limited = True
                    return
                rows, articles, whole = _count_rows(each, left)
                left -= articles
                if not whole:
                    self._limited = True
                    batch = dataclasses.replace(batch, only=rows)
            self.summary.rows += rows
            yield batch

    def _check(self) -> None:
        """Check that all rows were counted or rejected, and that the file has not changed."""
        summary = self.summary
        if self._settings.limit is not None and summary.tally.rows >= summary.rows:
            summary.rows = summary.tally.rows  # an earlier run has counted more already
        elif summary.rows != summary.tally.rows:
            # Stray quotes between two cuts make the fast row count wrong: read the rows.
            summary.rows = self._file.count_rows()
        if summary.rows != summary.tally.rows:
            raise DaskingestError(
                f"{self.name} has {summary.rows:,} rows, but {summary.tally.rows:,} were taken or "
                "rejected; was it changed while it was read?"
            )
        if self._file.fingerprint() != self.id:
            raise DaskingestError(
                f"{self.name} was changed while it was read; the counts mix its old content and "
                "its new: start again with another store"
            )


def _count_rows(source: CsvRange, articles: int) -> tuple[int, int, bool]:
    """How many rows to count to get `articles`, the articles in them, and whether that is all."""
    taken = count = 0
    rows = source.rows()
    for count, row in enumerate(rows, 1):
        taken += isinstance(row, Article)
        if taken == articles:
            return count, taken, next(rows, None) is None
    return count, taken, True
