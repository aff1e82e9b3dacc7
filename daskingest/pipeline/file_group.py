"""Files that are counted together: the batches of all of them are in flight at the same time.

A file by itself has to be taken over, begun, drained and ended, each with a commit of its own; for
many small files that would take longer than to count them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

from daskingest.errors import DaskingestError
from daskingest.grouping import grouped
from daskingest.ledger import BatchId, Ledger
from daskingest.pipeline.batch import Batch, ListedBatches
from daskingest.pipeline.driver import Driver
from daskingest.pipeline.events import Finished, GivenUp
from daskingest.pipeline.file_run import FileRun
from daskingest.pipeline.pending import Commit
from daskingest.progress import Progress

_BYTES, _FILES = 64 << 20, 128
"""A group has no more bytes than this, unless one file has, and no more files."""

_UNPACKED = 3  # times as many bytes as a compressed file has, as a guess


def groups(runs: Sequence[FileRun]) -> Iterator[list[FileRun]]:
    """The files in groups, in their order."""

    def size(run: FileRun) -> int:
        return run.summary.size or _UNPACKED * run.file.origin.size

    return grouped(runs, size, _BYTES, _FILES)


class FileGroup:
    """Some files that are counted together into one store. `await group.count(driver)` once."""

    def __init__(self, runs: Sequence[FileRun], progress: Progress) -> None:
        self._runs = runs
        self._progress = progress
        self._by_id: dict[str, FileRun] = {}

    async def count(self, driver: Driver) -> None:
        """Count what the store does not have yet, as far as the files can be read.

        A file that can't be has its error; raises DaskingestError for what concerns all of them.
        """
        left = list(self._runs)
        while left:
            left = await self._count_segments(left, driver)

    async def _count_segments(self, runs: list[FileRun], driver: Driver) -> list[FileRun]:
        """Count the rows of one run of each file. Returns the files that have more behind those."""
        self._by_id = {each.run: each for each in runs}
        ledger = await driver.take_over(*self._by_id)
        ledgers: dict[str, Ledger] = {each: {} for each in self._by_id}
        for batch_id, entry in ledger.items():
            ledgers[batch_id.given.run][batch_id] = entry
        await self._each(runs, lambda each: each.take_up(ledgers[each.run], self._progress))
        for each in runs:
            if each.finished:
                await each.write_lost_rejects()
        runs = [each for each in runs if each.waits]
        await driver.enter({BatchId.begin(each.run): each.begun for each in runs})
        started = time.monotonic()
        complete = await driver.run(ListedBatches(_batches(runs)), ledger)
        self._share(time.monotonic() - started, runs)
        if not complete:
            return []
        return await self._end(runs, driver)

    async def _end(self, runs: list[FileRun], driver: Driver) -> list[FileRun]:
        """All that could be read is in the store. Returns the files that have more by now."""
        runs = [each for each in runs if each.waits and not each.rejects_are_lost]
        done: Ledger = {}

        def end(run: FileRun) -> None:
            if (entry := run.end()) is not None:
                done[BatchId.done(run.run)] = entry

        await self._each(runs, end)
        await driver.enter(done)
        ended = [each for each in runs if BatchId.done(each.run) in done]
        more: list[FileRun] = []

        def advance(run: FileRun) -> None:
            if run.advance(self._progress):
                more.append(run)

        await self._each(ended, advance)
        return more

    async def finished(self, batch: Finished) -> None:
        """See `Observer.finished`."""
        await self._by_id[batch.batch.id.given.run].batch_finished(batch)

    def given_up(self, batch: GivenUp) -> None:
        """See `Observer.given_up`: its file fails, and the others go on."""
        self._by_id[batch.batch.id.given.run].fail(batch.error)

    def committed(self, commit: Commit) -> None:
        """See `Observer.committed`. Of a commit, nobody can say which file it was for."""
        written = self._runs[0].summary.written
        written.commits += 1
        written.writes += commit.writes

    async def _each(self, runs: list[FileRun], work: Callable[[FileRun], None]) -> None:
        """Do this with each file, on a thread; what keeps it from one is that one's error."""

        def all_of_it() -> None:
            for each in runs:
                try:
                    work(each)
                except DaskingestError as error:
                    each.fail(error)

        await asyncio.to_thread(all_of_it)

    @staticmethod
    def _share(seconds: float, runs: list[FileRun]) -> None:
        """What it took, for each file according to what was counted of it."""
        fresh = sum(each.summary.fresh_bytes for each in runs) or 1
        for each in runs:
            each.summary.seconds += seconds * each.summary.fresh_bytes / fresh


def _batches(runs: list[FileRun]) -> Iterator[Batch]:
    for each in runs:
        yield from each.batches()
