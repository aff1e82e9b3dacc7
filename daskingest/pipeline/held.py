"""What a saver knows of the runs that it holds: which batches are counted, and up to where all.

A saver has taken over each run before it read the run's ledger. The store refuses its commits as
soon as another has, so what it knows of the ledger is all there is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from daskingest.ledger import BatchId, Entry, Ledger, Split
from daskingest.pipeline.pending import Refusal
from daskingest.stores import Hold


class HeldRun:
    """A run whose batches may be numbered, from 1, as a spool's are.

    Of those its watermark says "all up to here are counted", which is all that the store keeps of
    them once their source has forgotten them.
    """

    def __init__(self, hold: Hold, ledger: Ledger) -> None:
        self._hold = hold
        self._split: dict[BatchId, bool] = {}  # the ledger's batches, and whether they were split
        self._forgotten: int | None = None  # by the source, up to this one
        self._base = hold.watermark
        self.committed(ledger)

    def is_settled(self, batch_id: BatchId) -> bool:
        """Whether the batch is counted, and its source has forgotten it: this is a late copy."""
        below = max(self._hold.watermark, self._forgotten or 0)
        return self._is_below(batch_id, below)

    def committed(self, entries: Mapping[BatchId, Entry | Refusal]) -> None:
        """The store has these entries, but for those that it refused."""
        for batch_id, entry in entries.items():
            if not isinstance(entry, Refusal) and batch_id.is_batch:
                self._split[batch_id] = isinstance(entry, Split)

    def forget(self, up_to: int) -> None:
        """The source has forgotten all batches up to this number: it will not give them again."""
        if self._forgotten is None and not self._hold.watermark:
            # A store of an earlier version has forgotten batches without a watermark.
            self._base = up_to
        self._forgotten = max(up_to, self._forgotten or 0)

    def next_hold(self, pending: Collection[BatchId]) -> Hold:
        """What the next commit is to write: the watermark as far as all is counted and forgotten,
        and the entries that need not be kept any more.

        An entry is kept while a late copy of its batch is pending, which would be counted again.
        """
        run = self._hold.run
        first = min((int(each.entry) for each in pending if self._is_of_it(each)), default=None)
        forgotten = self._forgotten or 0
        most = forgotten if first is None else min(forgotten, first - 1)
        watermark = max(self._hold.watermark, min(self._base, most))
        while watermark < most and self._is_counted(BatchId(run, str(watermark + 1))):
            watermark += 1
        if watermark == self._hold.watermark:
            return self._hold
        settled = tuple(each for each in self._split if self._is_below(each, watermark))
        return replace(self._hold, watermark=watermark, settled=settled)

    def moved(self, hold: Hold) -> None:
        """A commit has written this."""
        for batch_id in hold.settled:
            self._split.pop(batch_id, None)
        self._hold = replace(hold, settled=())

    def _is_counted(self, batch_id: BatchId) -> bool:
        split = self._split.get(batch_id)
        if split:
            return all(self._is_counted(batch_id.part(place)) for place in (0, 1))
        return split is not None

    def _is_below(self, batch_id: BatchId, watermark: int) -> bool:
        return watermark > 0 and self._is_of_it(batch_id) and int(batch_id.entry) <= watermark

    def _is_of_it(self, batch_id: BatchId) -> bool:
        return batch_id.run == self._hold.run and batch_id.is_batch


class Holds:
    """The runs that a saver holds."""

    def __init__(self) -> None:
        self._runs: dict[str, HeldRun] = {}

    def __contains__(self, run: str) -> bool:
        return run in self._runs

    def take(self, hold: Hold, ledger: Ledger) -> None:
        """The run was taken over, and its ledger read then."""
        self._runs[hold.run] = HeldRun(hold, ledger)

    def is_settled(self, batch_id: BatchId) -> bool:
        """See `HeldRun.is_settled`."""
        return self._runs[batch_id.run].is_settled(batch_id)

    def forget(self, run: str, up_to: int) -> None:
        """See `HeldRun.forget`."""
        if run in self._runs:
            self._runs[run].forget(up_to)

    def next(self, batch_ids: Iterable[BatchId], pending: Iterable[BatchId]) -> list[Hold]:
        """What a commit of these batches is to compare and to write, with all that is pending."""
        wholes = {each.whole for each in pending}
        return [self._runs[run].next_hold(wholes) for run in sorted({b.run for b in batch_ids})]

    def committed(self, entries: Mapping[BatchId, Entry | Refusal], holds: Iterable[Hold]) -> None:
        """A commit is through."""
        for batch_id, entry in entries.items():
            self._runs[batch_id.run].committed({batch_id: entry})
        for hold in holds:
            self._runs[hold.run].moved(hold)
