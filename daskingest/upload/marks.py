"""Whether a file still is the one that an upload began with, as far as it was sent."""

from __future__ import annotations

from typing import NamedTuple

from daskingest.errors import DaskingestError
from daskingest.sources.checksum import Whole
from daskingest.sources.datafile import DataRange


class Mark(NamedTuple):
    """The checksum of a file's ranges up to `end`."""

    end: int
    checksum: str


START = Mark(0, "")


class Reading:
    """Follows a file that is read range by range, as often as it is.

    `mark` is how far its rows were given out. What comes up to the mark `begun` is compared.
    """

    def __init__(self, path: str, begun: Mark, unit: str = "bytes") -> None:
        self.mark = START
        self._path = path
        self._unit = unit
        self._begun = begun
        self._whole = Whole()
        self._entered = START

    def enter(self, part: DataRange) -> None:
        """Its rows are given out from now on. Raises DaskingestError if something has changed."""
        if part.start < self._entered.end:  # of a repetition
            return
        self.mark = self._entered
        self._whole.add(part.checksum)
        self._entered = Mark(part.end, str(self._whole))
        begun = self._begun
        if part.start < begun.end <= part.end and self._entered != begun:
            raise DaskingestError(
                f"{self._path} has changed since the upload began, before {self._unit[:-1]} "
                f"{begun.end:,}, up to which it was sent; restore the file, or leave out --resume "
                "to send all articles anew"
            )
