"""From which store to which: what the two are known by, and where the file between them lies."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from daskingest.errors import UsageError
from daskingest.stores import absolute_url
from daskingest.stores.emulator import emulator
from daskingest.stores.urls import place_of, shown_url

_SQLITE = "sqlite:///"
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Route:
    """The URLs of a source, which is a file of this machine, and of a target."""

    source: str
    target_url: str

    @classmethod
    def between(cls, source: str, target: str) -> Route:
        """The route between two stores. Raises UsageError if there can be none."""
        if not source.startswith(_SQLITE):
            raise UsageError(
                "expected a store of this machine to publish, sqlite:///PATH, found "
                f"{shown_url(source)!r}"
            )
        source, target = absolute_url(source), absolute_url(target)
        if source == target:
            raise UsageError(f"{source} cannot be published to itself: name another with --to")
        return cls(source, target)

    @property
    def target(self) -> str:
        """The target, as it is told: without a password."""
        return shown_url(self.target_url)

    @property
    def source_path(self) -> Path:
        """The source's file."""
        return Path(self.source.removeprefix(_SQLITE))

    @property
    def digest(self) -> str:
        """What tells the target from others."""
        return target_digest(self.target_url)

    @property
    def published_path(self) -> Path:
        """The file that says what of the source is in the target."""
        return self.source_path.with_name(f"{self.source_path.name}.published-{self.digest}")

    @property
    def mark(self) -> str:
        """The run by which the source knows that it was published to the target."""
        return f"published-to-{self.digest}"


def target_digest(url: str) -> str:
    """The same for the same target on every machine; an emulator is not the real one."""
    emulated = " emulated" if url.startswith("firestore://") and emulator() else ""
    return hashlib.sha256(f"{place_of(url)}{emulated}".encode()).hexdigest()[:_DIGITS]
