"""How far an upload is, on disk, so that another run can go on with it."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from daskingest.errors import UsageError
from daskingest.files import write_atomically
from daskingest.settings import UploadSettings
from daskingest.sources.csvfile import CsvFile
from daskingest.upload.parcels import Parcel
from daskingest.upload.tally import UploadTally

_FORMAT = 1  # changes when the same file would be sent in other parcels
_OPTIONS = {
    "url": "--url",
    "legacy": "--legacy",
    "batch": "--batch",
    "count": "--count",
    "repeat": "--repeat",
    "content": "--content-column",
    "publication": "--publication-column",
}
REMEMBERED = 24 * 3600.0
"""Seconds that the service remembers a key."""


class UploadState:
    """Which parcels of an upload are done with, and what became of them.

    A parcel is written down some time after it was acknowledged. A run that goes on sends those
    again that were not, under the same keys, by which the service knows them: what was halved is
    sent in halves again.
    """

    def __init__(self, path: Path, begin: dict[str, Any], run: str) -> None:
        self.path = path
        self.begin = begin
        self.run = run
        self.tally = UploadTally()
        self.complete = False
        self.unsure: float | None = None
        """When an earlier run may have had requests under way, in seconds since 1970."""
        self.aside: Path | None = None
        """Where another upload's state goes, which is unfinished."""
        self._below = 0  # all parcels before this one are done with
        self._beyond: set[int] = set()
        self._halved: set[tuple[int, str]] = set()  # of parcels that are not done with

    @classmethod
    def open(cls, file: CsvFile, path: str, settings: UploadSettings) -> UploadState:
        """A new one, or with `resume` the one that is there. Raises UsageError.

        An unfinished one is not overwritten, but put aside.
        """
        columns = file.layout.columns
        begin = {
            "format": _FORMAT,
            "fingerprint": file.fingerprint(),
            "url": settings.url,
            "batch": settings.articles_per_request,
            "count": settings.count,
            "repeat": settings.repeat,
            "legacy": settings.legacy,
            "content": columns.content,
            "publication": columns.publication,
        }
        name = settings.state or Path(path).name + ".upload.json"
        state = cls(Path(name), begin, secrets.token_hex(8))
        if state.path.exists():
            found = state._read()
            if settings.resume:
                state._go_on(found)
            elif not found["complete"]:
                state.aside = state.path.with_name(state.path.name + ".old")
        return state

    @property
    def prefix(self) -> str:
        """What the idempotency keys of all its requests begin with."""
        return f"{self.run}-{self.begin['fingerprint']}-"

    def is_done(self, number: int) -> bool:
        """Whether nothing is to be sent of a parcel any more."""
        return number < self._below or number in self._beyond

    def done(self, number: int) -> None:
        """A parcel is done with."""
        self._beyond.add(number)
        self._halved = {each for each in self._halved if each[0] != number}
        while self._below in self._beyond:
            self._beyond.remove(self._below)
            self._below += 1

    def is_halved(self, parcel: Parcel) -> bool:
        """Whether it goes in halves: some of it may have been taken so."""
        return (parcel.number, parcel.name) in self._halved

    def halve(self, parcel: Parcel) -> None:
        """A parcel, or a part of one, goes in halves from now on."""
        self._halved.add((parcel.number, parcel.name))

    def text(self, unsure: float | None) -> str:
        """What is to be saved; `unsure` is the time if requests may be under way."""
        return json.dumps(
            {
                "run": self.run,
                **self.begin,
                "complete": self.complete,
                "unsure": unsure,
                "done": self._below,
                "beyond": sorted(self._beyond),
                "halved": sorted(self._halved),
                "tally": self.tally.as_dict(),
            }
        )

    def save(self, text: str) -> None:
        """Write it down, whole or not at all. Raises UsageError."""
        try:
            if self.aside is not None and self.path.exists():
                write_atomically(self.aside, self.path.read_bytes())
            self.aside = None
            write_atomically(self.path, text)
        except OSError as error:
            raise UsageError(
                f"cannot write {self.path}, which says how far the upload is: {error.strerror}; "
                "name another with --state"
            ) from None

    def _read(self) -> dict[str, Any]:
        """What is in the file. Raises UsageError if it is no state."""
        try:
            found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            found["tally"] = UploadTally.from_dict(found["tally"])
            missing = {*self.begin, "run", "complete", "unsure", "done", "beyond"} - {*found}
            if missing:
                raise ValueError(f"no {min(missing)!r}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self.path} does not say how far an upload is ({error}); name another file with "
                "--state"
            ) from None
        return found

    def _go_on(self, found: dict[str, Any]) -> None:
        """Take up what another run has left. Raises UsageError if it sent something else."""
        for key in ("format", "fingerprint"):
            if found[key] != self.begin[key]:
                raise UsageError(
                    f"{self.path} is of another file, or of this one before it was changed; leave "
                    "out --resume to send it anew"
                )
        for key, option in _OPTIONS.items():
            if found[key] != self.begin[key]:
                begun, now = (
                    f"without {option}" if value is None else f"with {option} {value}"
                    for value in (found[key], self.begin[key])
                )
                raise UsageError(
                    f"the upload was begun {begun}; {now} articles could count twice: "
                    f"use the same {option} as then, or leave out --resume"
                )
        self.run, self.unsure, self.complete = found["run"], found["unsure"], found["complete"]
        self._below, self._beyond = found["done"], set(found["beyond"])
        self._halved = {(number, name) for number, name in found.get("halved", [])}
        self.tally = found["tally"]
