"""The ledger: batch ids, the kinds of ledger entries, and both as text.

Stores keep an entry as two texts, its id (`RUN:ENTRY`, with `.0` or `.1` for each time that the
batch was split) and a JSON object. Only this module writes and reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from daskingest.counts import Tally

_BEGIN, _DONE = "begin", "done"


@dataclass(frozen=True, slots=True, order=True)
class BatchId:
    """Identifies a batch, permanently.

    `run` identifies a file or a spool, `entry` the batch within the run. A part of a batch that was
    split has the batch's id, and its index, 0 or 1, appended to `parts`; so does a part of a part.
    """

    run: str
    entry: str
    parts: tuple[int, ...] = ()

    def __str__(self) -> str:
        return ".".join((f"{self.run}:{self.entry}", *map(str, self.parts)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id with this text."""
        run, _, rest = text.partition(":")
        entry, *parts = rest.split(".")
        return cls(run, entry, tuple(map(int, parts)))

    @classmethod
    def begin(cls, run: str) -> Self:
        """The id of the entry that says how a run began."""
        return cls(run, _BEGIN)

    @classmethod
    def done(cls, run: str) -> Self:
        """The id of the entry that says that a run is done."""
        return cls(run, _DONE)

    @property
    def whole(self) -> Self:
        """The id of the whole batch: itself, or the batch that it is a part of."""
        return replace(self, parts=()) if self.parts else self

    @property
    def is_batch(self) -> bool:
        """Whether it identifies a batch or a part; otherwise it is one of the run's own entries."""
        return self.entry not in (_BEGIN, _DONE)

    def part(self, place: int) -> Self:
        """The id of its first (0) or second (1) part."""
        return replace(self, parts=(*self.parts, place))


@dataclass(frozen=True, slots=True)
class Begun:
    """How a run of a file began: what must be the same when it is resumed."""

    file: str
    size: int
    content: str
    publication: str
    model: str
    batch_bytes: int
    format: int


@dataclass(frozen=True, slots=True)
class Counted:
    """The store has the batch's counts, or it has none."""

    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Split:
    """The batch was split before its row `at`; its parts have entries of their own."""

    at: int


@dataclass(frozen=True, slots=True)
class Done:
    """All rows of a run are in the store or in the rejects. `at` is in seconds since 1970."""

    tally: Tally
    file: str = ""
    at: float = 0.0


Entry = Begun | Counted | Split | Done

Ledger = dict[BatchId, Entry]


def entry_to_json(entry: Entry) -> str:
    """The text that a store keeps for an entry."""
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
    """The entry that a store keeps under an id, from its text."""
    value: Mapping[str, Any] = json.loads(text)
    if batch_id.entry == _BEGIN:
        return Begun(**{name: value[name] for name in Begun.__dataclass_fields__})
    if batch_id.entry == _DONE:
        return Done(Tally.from_json(value), value.get("file", ""), value.get("at", 0.0))
    if "split" in value:
        return Split(value["split"])
    return Counted(Tally.from_json(value))


def read_ledger(rows: Mapping[str, str]) -> Ledger:
    """Entries by id, both given as text."""
    ids = {BatchId.parse(key): text for key, text in rows.items()}
    return {batch_id: entry_from_json(batch_id, text) for batch_id, text in ids.items()}
