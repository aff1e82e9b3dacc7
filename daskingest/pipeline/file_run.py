"""The run of one file: begins or resumes it, counts the file, and checks the rows at the end."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator

from daskingest.articles import Article
from daskingest.errors import DaskingestError, UsageError
from daskingest.ledger import Begun, Done, Ledger
from daskingest.models import model_identity, same_model
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.events import Finished
from daskingest.pipeline.identity import (
    Found,
    KnownRuns,
    edited,
    first_of,
    follow,
    following,
    is_edited,
    new_run,
    places_text,
)
from daskingest.pipeline.patient_rejects import PatientRejects
from daskingest.pipeline.segment import Comparison, Segment
from daskingest.pipeline.summary import Outcome, Summary
from daskingest.progress import Progress
from daskingest.settings import Settings
from daskingest.sources.datafile import DataFile, DataRange, Extent
from daskingest.sources.encodings import UTF8
from daskingest.stores.sharded import Ledgers
from daskingest.tally import Tally
from daskingest.text import size_text

_FORMAT = 1  # of ranges and batch ids: changes when the same file would be cut differently

_SAME = {
    "content": "--content-column",
    "publication": "--publication-column",
    "encoding": "--encoding",
    "model": "--model",
    "format": "version of daskingest",
}
"""What must be the same as when the run began, and the option that sets it."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class _Taken:
    """What became of a segment's rows, and how many it has, as they were counted to be cut.

    `limited`: a limit left some of its rows out.
    """

    tally: Tally = dataclasses.field(default_factory=Tally)
    rows: int = 0
    limited: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """The store that files are counted into, and what is to be said of counting so many bytes, or
    an unknown number, beforehand."""

    store_url: str = ""
    billed: bool = False
    forecast: Callable[[int | None], str] = lambda size: ""


class FileRun:
    """The run of one file. Its id depends on the file's content, not on its path.

    Creating one reads the file: do it on a thread.
    """

    def __init__(
        self, file: DataFile, model: str, settings: Settings, rejects: PatientRejects
    ) -> None:
        self.name = file.origin.name
        self.finished = False
        self.error: DaskingestError | None = None
        self._settings = settings
        self._rejects = rejects
        self._file = file
        origin, columns, extent = self._file.origin, self._file.columns, self._file.extent
        self._begun = begun = Begun(
            file=origin.path,
            size=origin.size,
            content=columns.content,
            publication=columns.publication,
            dates=", ".join(columns.dates),
            model=model_identity(model),
            batch_bytes=settings.batch_bytes,
            format=_FORMAT,
            head=origin.head(),
            sample=origin.fingerprint(origin.size),
            end=extent.end or 0,
            encoding=self._file.encoding,
        )
        self._segment = Segment(new_run(self._file, []), self._file, begun, {})
        self._taken = _Taken()
        self.summary = Summary(self.name, file.size_of(extent) or origin.content_size)
        self.place = Place()
        self._lost: list[tuple[Batch, Tally]] = []  # batches whose rejects may not be written

    @property
    def file(self) -> DataFile:
        """The file."""
        return self._file

    @property
    def waits(self) -> bool:
        """Whether there is something of it to count, as far as is known."""
        return not self.finished and self.error is None

    @property
    def rejects_are_lost(self) -> bool:
        """Whether rejects were given up, which the next run finds again."""
        return self._rejects.given_up > 0

    @property
    def id(self) -> str:
        """The run of the file, or of its beginning if it grew."""
        return first_of(self._segment.run)

    @property
    def run(self) -> str:
        """The run that is counted, or was last: of the file's beginning, or of what it grew by."""
        return self._segment.run

    @property
    def begun(self) -> Begun:
        """How that began."""
        return self._segment.begun

    def goes_to(self, place: Place) -> None:
        """It is counted there."""
        self.place, self.summary.written.billed = place, place.billed

    def look_up(self, store: Ledgers, known: KnownRuns, progress: Progress) -> None:
        """Take up what a store has of this file; `known` are the runs that were begun in it.

        Adds this one. Raises UsageError if the run was begun otherwise, or of what has changed.
        """
        begun, others = self._begun, []
        for run, theirs in known.may_be(self._file).items():
            found = follow(self._file, run, theirs, store, progress)
            differing = found.comparison.differing
            if not differing:
                self._resume(found, progress)
                break
            if is_edited(self._file, found):
                if theirs.encoding != begun.encoding and theirs.head == begun.head:
                    self._require_same(theirs, begun)  # then it is that which makes it differ
                raise edited(self._file, found)
            if theirs.head == begun.head:
                progress.warn(
                    f"{self.name} begins like {theirs.file}, but is a different file: "
                    f"{places_text(differing, self._file.unit)} differ"
                )
            others.append(found.comparison.first)
        else:
            self._segment = Segment(new_run(self._file, others), self._file, begun, {})
        known.add(self.id, self._segment.begun)

    def _resume(self, found: Found, progress: Progress) -> None:
        for each in found.segments:
            self._require_same(each.begun, self._begun)
            self._segment = each
            if each.done is not None:
                self._count_done(each, each.done)
            else:
                self._require_same_dates(each.begun)
        if self._segment.done is not None:
            self._advance(progress)
            if self.finished:
                self.summary.outcome = Outcome.ALREADY
        self._lost = found.comparison.lost
        if found.comparison.unknown:
            progress.warn(
                f"{self.name}, or a part of it, was counted by an earlier version, which kept no "
                "checksums: only its size and samples of it could be compared"
            )

    @staticmethod
    def _require_same(then: Begun, now: Begun) -> None:
        for field, option in _SAME.items():
            before, after = getattr(then, field), getattr(now, field)
            same = same_model(before, after) if field == "model" else before == after
            if not same:
                before, after = before or UTF8, after or UTF8
                raise UsageError(
                    f"counting {now.file} into this store was begun with the {option} {before!r}; "
                    f"with {after!r} its articles would be counted twice: "
                    f"use {before!r} again, or another --store"
                )

    def _require_same_dates(self, then: Begun) -> None:
        """What is done may have been counted without: earlier versions knew no dates."""
        if then.dates != self._begun.dates:
            begun, use = f"with the dates in {then.dates}", "use the same --date-column again"
            if not then.dates:
                begun, use = "without dates", "use --no-dates"
            raise UsageError(
                f"counting {self._begun.file} into this store was begun {begun}, and only a part "
                f"of its articles would be counted by month otherwise: {use}, or another --store"
            )

    def _count_done(self, segment: Segment, done: Done) -> None:
        """All of a segment is in the store, from an earlier run."""
        self.summary.tally.merge(done.tally)
        self.summary.rows += done.tally.rows
        begin, end = segment.extent.start, segment.last[1]
        self.summary.bytes_done += self._file.size_of(Extent(begin, end)) or 0

    def _advance(self, progress: Progress) -> None:
        """Go on behind a segment that is done, if the file has more."""
        end = self._segment.last[1]
        growth = self._segment.growth()
        if growth is None or growth.start is None:
            self.finished = True
            if growth is not None:
                progress.warn(
                    f"{self.name} has grown, but no row begins after byte {end:,}, up to which it "
                    "was counted: there is nothing new to count"
                )
            return
        if growth.broken:
            progress.warn(
                f"{self.name} was counted when its last row, "
                f"{places_text([growth.broken], self._file.unit)}, was incomplete: that row is not "
                "counted again"
            )
        size = "" if growth.size is None else f" by {size_text(growth.size)}"
        progress.warn(
            f"{self.name} has grown{size} since it was counted: only what is new will be counted"
        )
        begun = dataclasses.replace(self._begun, start=growth.start)
        run, row = following(self.id, end), self.summary.tally.rows
        self._segment = Segment(run, self._file, begun, {}, row)

    async def write_lost_rejects(self) -> None:
        """Write what the file of rejects lacks, if a run that finished was killed before."""
        for batch, tally in self._lost:
            await self._rejects.add(self.name, self.id, batch, tally, None)
        if self._rejects.given_up:
            self.summary.outcome = Outcome.INTERRUPTED

    def fail(self, error: DaskingestError) -> None:
        """It cannot be counted, or not all of it; the first error is kept."""
        if self.error is None:
            self.error = error
            self.summary.outcome, self.summary.error = Outcome.FAILED, str(error)

    def take_up(self, ledger: Ledger, progress: Progress) -> None:
        """Begin, or go on, with what the store has of it, now that it is held.

        Raises DaskingestError if another run began it otherwise.
        """
        segment = self._segment.take_up(ledger)
        self._require_same(segment.begun, self.begun)
        self._segment, self._taken = segment, _Taken()
        if segment.done is not None:  # another run was faster
            found = Comparison()
            segment.compare(progress, found)
            self._count_done(segment, segment.done)
            self.finished, self.summary.outcome = True, Outcome.ALREADY
            self._lost = found.lost

    def end(self) -> Done | None:
        """All its batches are in the store: check them. Returns the entry that says so, unless a
        limit left some out.

        Raises DaskingestError if rows are missing.
        """
        self._check()
        self.summary.outcome = Outcome.LIMITED if self._taken.limited else Outcome.COUNTED
        self._log(self.summary)
        if self._taken.limited:
            return None
        checksum, end = self._segment.checksum, self._segment.last[1]
        return Done(self._taken.tally, self.name, int(time.time()), checksum, end)

    def advance(self, progress: Progress) -> bool:
        """Go on behind what is done. Returns whether there is more to count.

        Raises DaskingestError if it cannot be read.
        """
        self._advance(progress)
        grown = self._file.origin.size_now() - self._file.origin.size if self.finished else 0
        if grown > 0:
            progress.warn(
                f"{self.name} grew by {size_text(grown)} while it was being counted: run the same "
                "command again to count what is new"
            )
        return not self.finished

    def _log(self, summary: Summary) -> None:
        log.info(
            summary.outcome.value,
            extra={
                "file": self.name,
                "articles": summary.tally.articles,
                "rejected": summary.tally.rejected.total(),
                "seconds": round(summary.seconds, 3),
            },
        )

    def announce(self, progress: Progress) -> None:
        """Say what is going to be done, and what is unusual about it."""
        for note in self._file.notes:
            progress.warn(note)
        batch_bytes = self._segment.begun.batch_bytes
        if batch_bytes != self._settings.batch_bytes:
            progress.say(f"continuing with batches of {batch_bytes:,} bytes, as it was begun")
        if note := self._segment.shards_note(self._settings.savers):
            progress.say(note)
        if self._file.slow:
            progress.say(f"cutting {self.name} takes longer than usual: {self._file.slow}")
        if self._file.origin.packed:
            packed = "in another encoding" if self._file.encoding else "compressed"
            progress.say(f"{self.name} is {packed}: one process reads it for all workers")
        size = f", {size_text(self.summary.size)}" if self.summary.size else ""
        progress.start(self.summary.size, f"counting {self.name}{size}", "waiting for counts")

    async def batch_finished(self, finished: Finished) -> None:
        """The store has a batch, from this run or an earlier one."""
        batch, tally, summary = finished.batch, finished.tally, self.summary
        size = batch.share
        summary.tally.merge(tally)
        self._taken.tally.merge(tally)
        summary.bytes_done += size
        if finished.fresh:
            summary.fresh.merge(tally)
            summary.fresh_bytes += size
        if tally.rejected:
            await self._rejects.add(self.name, self.id, batch, tally, finished.rejects)

    def batches(self) -> Iterator[Batch]:
        """All its batches, as far as they can be read, or up to the limit."""
        log.info("counting", extra={"file": self.name, "run": self.run})
        try:
            yield from self._batches()
        except DaskingestError as error:
            self.fail(error)

    def _batches(self) -> Iterator[Batch]:
        left = self._settings.limit
        if left is not None:
            left -= self.summary.tally.articles  # of the segments before
        for each in self._segment.batches():
            if self.error is not None:
                return
            batch, part = each, each.source
            assert isinstance(part, DataRange)
            rows = part.row_count
            if left is not None:
                if left <= 0:
                    self._taken.limited = True
                    return
                rows, articles, whole = _count_rows(part, left)
                left -= articles
                if not whole:
                    self._taken.limited = True
                    batch = dataclasses.replace(batch, only=rows)
            self._taken.rows += rows
            yield batch

    def _check(self) -> None:
        """See that the rows taken and rejected are all that the segment has."""
        rows, taken = self._taken.rows, self._taken.tally.rows
        if self._settings.limit is not None and taken >= rows:
            rows = taken  # an earlier run has counted more already
        elif rows != taken:
            # Stray quotes between two cuts make the quick count of the rows wrong: read them.
            rows = self._file.count_rows(self._segment.extent)
        self.summary.rows = self.summary.tally.rows - taken + rows
        if rows != taken:
            raise DaskingestError(
                f"{self.name} has {rows:,} rows from {self._file.unit[:-1]} "
                f"{self._segment.extent.start:,} on, but {taken:,} were counted or "
                "rejected; was it changed while it was being read?"
            )


def _count_rows(source: DataRange, articles: int) -> tuple[int, int, bool]:
    """How many rows to count to get `articles`, the articles in them, and whether that is all."""
    taken = count = 0
    rows = source.rows()
    for count, row in enumerate(rows, 1):
        taken += isinstance(row, Article)
        if taken == articles:
            return count, taken, next(rows, None) is None
    return count, taken, True
