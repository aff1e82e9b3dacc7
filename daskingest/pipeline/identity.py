"""Which run of a store a file is: by its content, wherever the file lies.

A file is all of its bytes, but to read them all before it is known whether the file is a new one
would take as long as to cut it. So it is found in steps, each of which can only say no:

1. A run's first entry has the checksum of what the file began with (its `head`). A file with
   another head is another file. The head neither has the size nor the end in it, so a file that
   grew is still found. Runs that earlier versions began have no head; their id is a fingerprint of
   samples, and it is made again of the file, cut to the size that it had then. A member of an
   archive has the head of what is in it, so it is the same run as a copy of it anywhere else.
2. The file is read and cut where it was cut then, for cuts depend on the file alone, and each range
   is compared with the checksum that the ledger has of it (`Segment.compare`).
3. If something differs, and the run's file lies where this one does, then it was edited: counting
   it would count the rows that stayed a second time. It is refused, and the places are named. That
   holds for one with another head, too, if a range or the size is as it was; otherwise there is
   just another file where that one was. If the run's file lies elsewhere, this one is another
   file that begins alike. It is counted, under an id that the difference is a part of, and it is
   said so.

A run is of those rows that its file had when it began. What a file grew by is a run of its own,
`RUN+START`, that goes on where the one before ended; so nothing in the ledger ever changes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daskingest.errors import UsageError
from daskingest.ledger import BatchId, Begun
from daskingest.pipeline.segment import Comparison, Place, Segment
from daskingest.progress import Progress
from daskingest.sources.checksum import run_id
from daskingest.sources.datafile import DataFile
from daskingest.sources.origin import HEAD_BYTES
from daskingest.stores.sharded import Ledgers, in_all_shards

_NAMED = 5  # places that an error names


class KnownRuns:
    """The runs of files that a store knows, found by what the files begin with and where they lie.

    To look for a file takes reading its beginning, however many runs there are.
    """

    def __init__(self, begun: Mapping[str, Begun]) -> None:
        self._begun: dict[str, Begun] = {}
        self._by_path: dict[str, list[str]] = {}
        self._by_head: dict[tuple[int, str], list[str]] = {}
        self._sizes: list[int] = []  # that heads are of, in order
        self._headless: list[str] = []  # of an earlier version
        for run, each in begun.items():
            self.add(run, each)

    def add(self, run: str, begun: Begun) -> None:
        """There is this run, too. What a file grew by is found by way of the run before it."""
        if begun.start or run in self._begun:
            return
        self._begun[run] = begun
        if not begun.head:
            self._headless.append(run)
            return
        size = min(begun.size, HEAD_BYTES)
        at = bisect_left(self._sizes, size)
        if self._sizes[at : at + 1] != [size]:
            self._sizes.insert(at, size)
        self._by_head.setdefault((size, begun.head), []).append(run)
        self._by_path.setdefault(begun.file, []).append(run)

    def may_be(self, file: DataFile) -> dict[str, Begun]:
        """The runs that may be of a file, as far as their first entries tell.

        Those of a file that lay where this one does come first.
        """
        origin, found = file.origin, list[str]()
        for each in (origin,) if origin.before is None else (origin, origin.before):
            found += self._by_path.get(each.path, ())
            for key in zip(self._sizes, each.heads(self._sizes), strict=False):
                found += self._by_head.get(key, ())
        found += [each for each in self._headless if _has_samples(file, each, self._begun[each])]
        runs = {run: self._begun[run] for run in found}
        return dict(sorted(runs.items(), key=lambda each: each[1].file != origin.path))


def _has_samples(file: DataFile, run: str, begun: Begun) -> bool:
    """Whether a file may be the one of a run that an earlier version began."""
    grown = begun.size < file.origin.size and Path(begun.file).name == Path(file.origin.path).name
    return (grown or begun.size == file.origin.size) and file.origin.fingerprint(begun.size) == run


def new_run(file: DataFile, others: list[str]) -> str:
    """An id for a file that no run is of.

    `others`: the checksums of the ranges where it first differs from those that begin alike.
    """
    return run_id(file.origin.head(), others)


def following(run: str, start: int) -> str:
    """The id of the run of what a file grew by; `run`: of its beginning."""
    return f"{run}+{start}"


def first_of(run: str) -> str:
    """The run of the file's beginning."""
    return run.partition("+")[0]


def places_text(places: list[Place], unit: str = "bytes") -> str:
    """Places in a file, for people."""
    named = [f"{start:,} to {end:,}" for start, end in places[:_NAMED]]
    more = f" and {len(places) - _NAMED:,} more places" if len(places) > _NAMED else ""
    return f"{unit} {', '.join(named)}{more}"


@dataclass(slots=True)
class Found:
    """The runs that a file is known as, the file's beginning first, and what was compared."""

    segments: list[Segment]
    comparison: Comparison


def follow(file: DataFile, run: str, begun: Begun, store: Ledgers, progress: Progress) -> Found:
    """Go from the run of a file's beginning through those of what it grew by, and compare.

    Raises DaskingestError if the file cannot be read.
    """
    found = Found([], Comparison())
    ledger, first_row, entry = in_all_shards(store, run), 0, run
    while True:
        segment = Segment(entry, file, begun, ledger, first_row)
        found.segments.append(segment)
        segment.compare(progress, found.comparison)
        if segment.done is None:
            return found
        first_row += segment.done.tally.rows
        entry = following(run, segment.extent.end or segment.last[1])
        ledger = in_all_shards(store, entry)
        next_begun = ledger.get(BatchId.begin(entry))
        if not isinstance(next_begun, Begun):
            return found
        begun = next_begun


def is_edited(file: DataFile, found: Found) -> bool:
    """Whether a file that differs from the one that was counted is what became of it."""
    begun = found.segments[0].begun
    if begun.file != file.origin.path:
        return False
    as_it_was = found.comparison.agreeing > 0 or begun.size == file.origin.size
    return as_it_was or file.origin.head(begun.size) == begun.head


def edited(file: DataFile, found: Found) -> UsageError:
    """What is to be told of a file that was counted and then changed."""
    return UsageError(
        f"{file.origin.path} has changed since it was counted: "
        f"{places_text(found.comparison.differing, file.unit)} differ, so nothing of it was "
        "counted now; restore the file, or count it into another --store"
    )
