"""The ledger: the ids of batches, the kinds of entry that it has for them, and both as text.

Stores keep an entry as two texts, its id (`RUN:ENTRY`, with `.0` or `.1` for each time that the
batch was halved) and a JSON object. Both are made and read here alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from daskingest.counts import Tally
from daskingest.errors import DaskingestError

_BEGIN, _DONE = "begin", "done"


class LedgerError(DaskingestError):
    """An entry cannot be read, and what a run has counted cannot be known."""


@dataclass(frozen=True, slots=True, order=True)
class BatchId:
    """What tells a batch from all others, for ever.

    `run` is a file's or a spool's, `entry` what tells the batch from the run's others. A part of a
    batch that was split has the batch's id and its place, 0 or 1, in `parts`; so has a part's part.
    """

    run: str
    entry: str
    parts: tuple[int, ...] = ()

    def __str__(self) -> str:
        return ".".join((f"{self.run}:{self.entry}", *map(str, self.parts)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id that was written as this text."""
        run, _, rest = text.partition(":")
        entry, *parts = rest.split(".")
        return cls(run, entry, tuple(map(int, parts)))

    @classmethod
    def begin(cls, run: str) -> Self:
        """Of the entry that says how a run began."""
        return cls(run, _BEGIN)

    @classmethod
    def done(cls, run: str) -> Self:
        """Of the entry that says that a run is done."""
        return cls(run, _DONE)

    @property
    def whole(self) -> Self:
        """The batch that it is, or is a part of."""
        return replace(self, parts=()) if self.parts else self

    @property
    def is_batch(self) -> bool:
        """Whether it is a batch's or a part's; otherwise it is one of the run's own."""
        return self.entry not in (_BEGIN, _DONE)

    def part(self, place: int) -> Self:
        """The first (0) or second (1) part."""
        return replace(self, parts=(*self.parts, place))


@dataclass(frozen=True, slots=True)
class Begun:
    """How a run of a file began: what must be the same when it goes on."""

    file: str
    size: int
    content: str
    publication: str
    model: str
    batch_bytes: int
    format: int


@dataclass(frozen=True, slots=True)
class Counted:
    """The store has the batch's counts, or they are none."""

    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Split:
    """The batch was cut before its row `at`; its parts have entries of their own."""

    at: int


@dataclass(frozen=True, slots=True)
class Done:
    """All of a run's rows are in the store or the rejects. `at` is in seconds since 1970."""

    tally: Tally
    file: str = ""
    at: float = 0.0


Entry = Begun | Counted | Split | Done

Ledger = dict[BatchId, Entry]


def entry_to_json(entry: Entry) -> str:
    """The text that a store keeps of an entry."""
    match entry:
        case Counted(tally):
            value = tally.to_json()
        case Split(at):
            value = {"split": at}
        case Done(tally, file, at):
            value = {**tally.to_json(), "file": file, "at": at}
        case Begun():
            value = {name: getattr(entry, name) for name in Begun.__dataclass_fields__}
    return json.dumps(value)


def entry_from_json(batch_id: BatchId, text: str) -> Entry:
    """The entry that a store has under an id."""
    value: Mapping[str, Any] = json.loads(text)
    if batch_id.entry == _BEGIN:
        return Begun(**{name: value[name] for name in Begun.__dataclass_fields__})
    if batch_id.entry == _DONE:
        return Done(Tally.from_json(value), value.get("file", ""), value.get("at", 0.0))
    if "split" in value:
        return Split(value["split"])
    return Counted(Tally.from_json(value))


def read_ledger(rows: Mapping[str, str]) -> Ledger:
    """Entries by id, from both as text. Raises LedgerError when one can't be read."""
    found: Ledger = {}
    for key, text in rows.items():
        try:
            batch_id = BatchId.parse(key)
            found[batch_id] = entry_from_json(batch_id, text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LedgerError(
                f"the store's ledger has an entry {key!r} that this version of daskingest cannot "
                f"read ({text[:80]}); use the version that wrote it, or remove the entry"
            ) from error
    return found
