"""Rejects on their way to a file that cannot be written for a while, as on a full disk."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from daskingest.articles import Reject
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.rejects import RejectsFile, RejectsUnwritten
from daskingest.tally import Tally

RETRY_SECONDS = 2.0


class PatientRejects:
    """Writes rejects, and tries again until it can, or is told to stop.

    `trouble` says what it waits for. What it gives up, the next run finds again in the CSV file:
    `given_up` is how many.
    """

    def __init__(self, file: RejectsFile, retry_seconds: float = RETRY_SECONDS) -> None:
        self.trouble = ""
        self.given_up = 0
        self._file = file
        self._retry_seconds = retry_seconds
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Try no more than once from now on."""
        self._stopping.set()

    async def add(
        self, name: str, run: str, batch: Batch, tally: Tally, rejects: list[Reject] | None
    ) -> None:
        """See `RejectsFile.add`. Returns when they are written or given up."""
        while True:
            last = self._stopping.is_set()
            try:
                await asyncio.to_thread(self._file.add, name, batch, tally, rejects, run)
            except RejectsUnwritten as error:
                self.trouble = str(error)
                if last:
                    self.given_up += tally.rejected.total()
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._retry_seconds)
            else:
                self.trouble = ""
                return
