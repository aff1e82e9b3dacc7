"""Saves the progress of an upload while it is running."""

from __future__ import annotations

import asyncio
import time

from daskingest.articles import Reject
from daskingest.errors import DaskingestError
from daskingest.pipeline.rejects import RejectsFile
from daskingest.upload.parcels import Parcel
from daskingest.upload.report import UploadReport
from daskingest.upload.state import UploadState


class Checkpoint:
    """Saves the state of an upload together with its rejects.

    Unless `lasting`, the state is not saved: an open loop can't be resumed.
    """

    def __init__(
        self, report: UploadReport, state: UploadState, rejects: RejectsFile, lasting: bool
    ) -> None:
        self.state = state
        self.unsure = False
        """Whether the service may have a parcel that is not done."""
        self._report = report
        self._rejects = rejects
        self._lasting = lasting
        self._new_rejects: list[Reject] = []
        self._saving = asyncio.Lock()

    def begin(self) -> None:
        """Save that the upload has begun. Raises UsageError."""
        if self._lasting:
            self.state.save(self._text(ended=False))
            self.state.note()

    def done(self, parcel: Parcel, rejects: list[Reject]) -> None:
        """A parcel is done, and the service rejected these of its articles."""
        self._new_rejects += parcel.rejects + rejects
        self.state.done(parcel)

    async def save(self, ended: bool = False) -> None:
        """Write what is done, and what is halved. Raises DaskingestError; nothing is lost then."""

        def write() -> None:
            self._rejects.write(self._report.file, rejects, run=self.state.file_run)
            if self._lasting:
                self.state.save(text)

        async with self._saving:
            text, rejects = self._text(ended), self._new_rejects
            self._new_rejects = []
            try:
                await asyncio.to_thread(write)
            except DaskingestError:
                self._new_rejects = rejects + self._new_rejects
                raise

    def _text(self, ended: bool) -> str:
        return self.state.text(self._unsure_at(ended))

    def _unsure_at(self, ended: bool) -> float | None:
        """When requests were outstanding whose outcome may be unknown."""
        if self.state.unsure is not None and not self._report.measured.latencies.count:
            return self.state.unsure  # of the previous run; those requests are sent first
        return time.time() if self.unsure or not ended else None
