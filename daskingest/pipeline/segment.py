"""A run of a file: what the store has of it, and whether the file still is what was counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from daskingest.errors import DaskingestError
from daskingest.ledger import BatchId, Begun, Counted, Done, Ledger, Split, shards_in
from daskingest.pipeline.batch import Batch
from daskingest.progress import Progress
from daskingest.sources.checksum import FASTEST, Kind, Whole
from daskingest.sources.datafile import DataFile, DataRange, Extent, Growth
from daskingest.tally import Tally
from daskingest.text import size_text

Place = tuple[int, int]
"""Where something begins and ends in a file, in its unit."""


@dataclass(slots=True)
class Comparison:
    """What a file has that is not what a run of the store counted.

    `differing` are the ranges that have other bytes, those that follow each other as one, and
    `first` is the first one's checksum; `agreeing` is how many ranges are as they were. `unknown`
    says that some of it, or all, was counted by an earlier version, which kept no checksums. `lost`
    are batches with rejects, of runs that are done: the file of rejects may lack them.
    """

    differing: list[Place] = field(default_factory=list)
    first: str = ""
    unknown: bool = False
    agreeing: int = 0
    lost: list[tuple[Batch, Tally]] = field(default_factory=list)

    def differs(self, start: int, end: int, checksum: str = "") -> None:
        """What is in [start, end) is not what it was."""
        if not self.differing:
            self.first = checksum or f"{start}-{end}"
        if self.differing and self.differing[-1][1] == start:
            start, _ = self.differing.pop()
        self.differing.append((start, end))


class Segment:
    """A run of a file's rows: all that there were when it began, or those by which the file grew.

    `ledger` is what the store has of the run, in all its shards.
    """

    def __init__(
        self, run: str, file: DataFile, begun: Begun, ledger: Ledger, first_row: int = 0
    ) -> None:
        self.run = run
        self.begun = begun
        self.first_row = first_row
        self.last: Place = (begun.start or file.extent.start,) * 2
        """The last range that was seen."""
        self._file = file
        self._ledger = ledger
        self._shards = shards_in(ledger, run)
        self._whole = Whole()
        self._compared: list[DataRange] = []
        self._rest: Iterator[DataRange] | None = None

    @property
    def done(self) -> Done | None:
        """That it is done, if it is."""
        found = self._ledger.get(BatchId.done(self.run))
        return found if isinstance(found, Done) else None

    @property
    def checksum(self) -> str:
        """Of all its ranges, when all were seen."""
        return str(self._whole)

    @property
    def extent(self) -> Extent:
        """The rows that it is of."""
        begun, done = self.begun, self.done
        end: int | None = (done.end if done else 0) or begun.end
        if not end:  # of an earlier version, or not known before all of it is unpacked; or no rows
            known = self._file.unit == "bytes" and not self._file.origin.packed
            end = begun.size if known else None
        return Extent(begun.start or self._file.extent.start, end, self.first_row)

    def shards_note(self, savers: int) -> str:
        """What is to be said if it goes on with other shards than one that so many savers begin."""
        if not self._ledger or self._shards == savers:
            return ""
        return (
            f"continuing with {self._shards} shard{'s'[: self._shards > 1]}, as it was begun: "
            f"--savers {savers} is for files that are begun now"
        )

    def batch(self, part: DataRange) -> Batch:
        """A range as a batch, in the run's shards."""
        batch = Batch(BatchId(self.run, str(part.start)), part, checksum=part.checksum)
        return batch.in_shards(self._shards)

    def parts(self) -> Iterator[DataRange]:
        """All its ranges. Those that were read to be compared are not read again."""
        compared, self._compared = self._compared, []
        rest, self._rest = self._rest, None
        if not compared or rest is None:
            self._whole = Whole()
            rest = self._seen(self._read())
        yield from compared
        yield from rest

    def batches(self) -> Iterator[Batch]:
        """All its batches. Raises DaskingestError where the ledger has one of other rows."""
        for part in self.parts():
            batch = self.batch(part)
            for entry in self._known(batch):
                if error := batch.conflict(entry):
                    raise error
            yield batch

    def take_up(self, ledger: Ledger) -> Segment:
        """The same, with what the store has of it now; how it began may be another run's doing.

        Raises DaskingestError where that run is of another file.
        """
        begun = ledger.get(BatchId.begin(self.run))
        if not isinstance(begun, Begun) or begun == self.begun:
            self._ledger, self._shards = ledger, shards_in(ledger, self.run)
            return self
        if begun.sample and not self._file.origin.same_sample(begun.sample, begun.size):
            raise DaskingestError(
                f"another run has just begun to count {begun.file}, which begins like "
                f"{self._file.origin.path}, into this store; run the same command again, and the "
                "two files will be told apart"
            )
        return Segment(self.run, self._file, begun, ledger, self.first_row)

    def growth(self) -> Growth | None:
        """What the file has behind it; to be asked when all its ranges were seen."""
        if self.extent.end is None:  # it was read until there was no more
            return None
        return self._file.growth(*self.last)

    def compare(self, progress: Progress, found: Comparison) -> None:
        """Read what was counted of it, and add what the file has that differs.

        Raises DaskingestError if the file cannot be read.
        """
        missing = {each.entry for each in self._ledger if each.is_batch}
        extent = self.extent
        if missing or self.done is not None:
            self._compare_ranges(extent, missing, progress, found)
        elif extent.end is not None and extent.end > (now := self._file.extent.end or extent.end):
            found.differs(now, extent.end)
        begun = self.begun
        if self.done is None and begun.sample and not found.differing:
            origin = self._file.origin
            if not origin.same_sample(begun.sample, begun.size):  # in what was not counted yet
                sample = origin.fingerprint(begun.size)
                found.differs(self.last[1], extent.end or begun.size, sample)

    def _compare_ranges(
        self, extent: Extent, missing: set[str], progress: Progress, found: Comparison
    ) -> None:
        total = self._file.size_of(extent) or self._file.origin.size
        size, read = size_text(total), 0
        message = f"comparing {self._file.origin.path}, {size}, with what was counted before"
        progress.start(total, message, "reading")
        self._whole = Whole()
        self._rest = self._seen(self._read())
        for part in self._rest:
            if not self._file.origin.packed:  # the bytes that were unpacked are not kept
                self._compared.append(part)
            self._compare(part, found)
            missing.discard(str(part.start))
            read += part.size
            progress.show(read, partial(_status, read, size))
            if not missing and self.done is None:
                return
        self._compare_whole(extent, missing, found)

    def _read(self) -> Iterator[DataRange]:
        return self._file.ranges(self.begun.batch_bytes, self.extent, self._kind)

    @property
    def _kind(self) -> Kind:
        """That of the checksums which the ledger has already."""
        kept = (each for each in self._ledger.values() if isinstance(each, Counted | Split | Done))
        known = next((each.checksum for each in kept if each.checksum), None)
        return FASTEST if known is None else Kind.of(known)

    def _seen(self, parts: Iterator[DataRange]) -> Iterator[DataRange]:
        for part in parts:
            self._whole.add(part.checksum)
            self.last = part.start, part.end
            yield part

    def _compare(self, part: DataRange, found: Comparison) -> None:
        batch = self.batch(part)
        checksums = {each.checksum for each in self._known(batch)}
        if "" in checksums:
            found.unknown = True
        elif checksums == {part.checksum}:
            found.agreeing += 1
        elif checksums:
            found.differs(part.start, part.end, part.checksum)
        if self.done is not None and self.done.tally.rejected:
            for each in batch.apart():
                found.lost += self._rejecting(each)

    def _known(self, batch: Batch) -> Iterator[Counted | Split]:
        """What the ledger has of a batch, in each of its shards."""
        for each in batch.apart():
            entry = self._ledger.get(each.id)
            if isinstance(entry, Counted | Split):
                yield entry

    def _compare_whole(self, extent: Extent, missing: set[str], found: Comparison) -> None:
        """Compare what only the end tells."""
        end, done = self.last[1], self.done
        if extent.end is not None and end < extent.end:  # the file has become shorter
            found.differs(end, extent.end)
        elif missing and not found.differing:
            found.differs(min(map(int, missing)), end)
        if done is None:
            return
        if not done.checksum:
            found.unknown = True
        elif not found.differing and done.checksum != self.checksum:
            found.differs(extent.start, end, self.checksum)  # the ledger was pruned

    def _rejecting(self, batch: Batch) -> Iterator[tuple[Batch, Tally]]:
        """A batch, or its parts, that have rejects."""
        match self._ledger.get(batch.id):
            case Split(at):
                yield from itertools.chain.from_iterable(map(self._rejecting, batch.parts(at)))
            case Counted(tally) if tally.rejected:
                yield batch, tally


def _status(read: int, size: str, seconds: float) -> str:
    return f"{size_text(read)} of {size} compared"
