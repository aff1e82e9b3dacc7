"""The state of an upload on disk, from which another run can continue."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from daskingest.errors import UsageError
from daskingest.files import write_atomically
from daskingest.settings import UploadSettings
from daskingest.sources.checksum import run_id
from daskingest.sources.datafile import DataFile
from daskingest.upload import state_path
from daskingest.upload.marks import START, Mark
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
    "dates": "--date-column",
    "encoding": "--encoding",
}
REMEMBERED = 24 * 3600.0
"""Seconds that the service remembers an idempotency key."""


class UploadState:
    """Which parcels of an upload are done, and what became of them.

    A parcel is saved some time after it was acknowledged. A resumed run sends the others again,
    under the same keys, by which the service recognises them; parcels that were halved are sent in
    halves again.
    """

    def __init__(self, path: Path, begin: dict[str, Any], run: str, file_run: str) -> None:
        self.path = path
        self.begin = begin
        self.run = run
        self.file_run = file_run
        """What its rejects are known by, as they are by `run-csv`."""
        self.read = START
        """How far all rows of the file are done."""
        self.tally = UploadTally()
        self.complete = False
        self.unsure: float | None = None
        """When an earlier run may have had outstanding requests, in seconds since 1970."""
        self.aside: Path | None = None
        """Where the state of another, unfinished upload is moved to."""
        self._below = 0  # all parcels before this one are done
        self._beyond: dict[int, Mark | None] = {}  # that are done, with how far the file was read
        self._halved: set[tuple[int, str]] = set()  # parcels and parts of parcels that are not done

    @classmethod
    def open(cls, file: DataFile, path: str, settings: UploadSettings) -> UploadState:
        """A new one, or with `resume` the one that is there. Raises UsageError, also if none is.

        The state of an unfinished upload is not overwritten, but moved aside.
        """
        columns, fingerprint = file.columns, file.origin.fingerprint()
        begin = {
            "format": _FORMAT,
            "fingerprint": fingerprint,
            "url": settings.url,
            "batch": settings.articles_per_request,
            "count": settings.count,
            "repeat": settings.repeat,
            "legacy": settings.legacy,
            "content": columns.content,
            "publication": columns.publication,
            "dates": ", ".join(columns.dates),
            "encoding": file.encoding or None,
        }
        place = Path(settings.state) if settings.state else state_path.default_path(path)
        if settings.resume and not settings.state:
            place = state_path.find(path, fingerprint, settings.url)
        state = cls(place, begin, secrets.token_hex(8), run_id(file.origin.head()))
        if settings.resume:
            state._go_on(state._read())
        elif state.path.exists() and not state._read()["complete"]:
            state.aside = state.path.with_name(state.path.name + ".old")
        return state

    def note(self) -> None:
        """Note where it is, for a run from another folder to find it."""
        state_path.note(self.path, self.begin["fingerprint"], self.begin["url"])

    @property
    def prefix(self) -> str:
        """The prefix of the idempotency keys of all its requests."""
        return f"{self.run}-{self.begin['fingerprint']}-"

    def is_done(self, number: int) -> bool:
        """Whether nothing of a parcel needs to be sent any more."""
        return number < self._below or number in self._beyond

    def done(self, parcel: Parcel) -> None:
        """A parcel is done."""
        self._beyond[parcel.number] = parcel.read
        self._halved = {each for each in self._halved if each[0] != parcel.number}
        while self._below in self._beyond:
            self.read = self._beyond.pop(self._below) or self.read
            self._below += 1

    def is_halved(self, parcel: Parcel) -> bool:
        """Whether a parcel must be sent in halves: some may have been accepted that way."""
        return (parcel.number, parcel.name) in self._halved

    def halve(self, parcel: Parcel) -> None:
        """A parcel, or a part of one, is sent in halves from now on."""
        self._halved.add((parcel.number, parcel.name))

    def text(self, unsure: float | None) -> str:
        """The state as text. `unsure` is the current time if requests may be outstanding."""
        return json.dumps(
            {
                "run": self.run,
                "file_run": self.file_run,
                **self.begin,
                "complete": self.complete,
                "unsure": unsure,
                "done": self._below,
                "read": self.read,
                "beyond": sorted(self._beyond),
                "halved": sorted(self._halved),
                "tally": self.tally.as_dict(),
            }
        )

    def save(self, text: str) -> None:
        """Save the text, completely or not at all. Raises UsageError."""
        try:
            if self.aside is not None and self.path.exists():
                write_atomically(self.aside, self.path.read_bytes())
            self.aside = None
            write_atomically(self.path, text)
        except OSError as error:
            raise UsageError(
                f"cannot write {self.path}, the state of the upload: {error.strerror}; "
                "name another file with --state"
            ) from None

    def _read(self) -> dict[str, Any]:
        """What is in the file. Raises UsageError if there is none, or it is no state."""
        if not self.path.exists():
            raise UsageError(
                f"cannot resume: the file with the upload's progress, {self.path}, is not there; "
                "name another with --state, or leave out --resume to send all articles anew"
            )
        try:
            found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            for key, unknown in (("dates", ""), ("encoding", None)):  # to earlier versions
                found.setdefault(key, unknown)
            found["tally"] = UploadTally.from_dict(found["tally"])
            missing = {*self.begin, "run", "complete", "unsure", "done", "beyond"} - {*found}
            if missing:
                raise ValueError(f"no {min(missing)!r}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self.path} is not the state of an upload ({error}); name another file with "
                "--state"
            ) from None
        return found

    def _go_on(self, found: dict[str, Any]) -> None:
        """Continue another run. Raises UsageError if that sent something else."""
        for key in ("format", "fingerprint"):
            if found[key] != self.begin[key]:
                raise UsageError(
                    f"{self.path} belongs to another file, or to this one before it was changed; "
                    "leave out --resume to start over"
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
        # Earlier versions had neither of these.
        self.file_run = found.get("file_run", found["fingerprint"])
        self.read = Mark(*found.get("read", START))
        self._below, self._beyond = found["done"], dict.fromkeys(found["beyond"])
        self._halved = {(number, name) for number, name in found.get("halved", [])}
        self.tally = found["tally"]
