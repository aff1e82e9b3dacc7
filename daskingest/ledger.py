"""The ledger: batch ids, the kinds of ledger entries, and both as text.

Stores keep an entry as two texts, its id (`RUN:ENTRY`, with `.0` or `.1` for each time that the
batch was split) and a JSON object. Only this module writes and reads them.

A run may be in several shards, which are runs of their own in a store, see `shards.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Self

from daskingest.errors import DaskingestError
from daskingest.shards import run_and_shard, shard_run
from daskingest.tally import Tally

_BEGIN, _STAGED, _DONE, _SHARDS = "begin", "staged", "done", "shards"


class LedgerError(DaskingestError):
    """An entry cannot be read, and what a run has counted cannot be known."""


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
        return f"{self.run}:{self.within_run}"

    @property
    def within_run(self) -> str:
        """Its text without the run."""
        return ".".join((self.entry, *map(str, self.parts)))

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
    def staged(cls, run: str) -> Self:
        """The id of the entry that says that a run is counted elsewhere first."""
        return cls(run, _STAGED)

    @classmethod
    def done(cls, run: str) -> Self:
        """The id of the entry that says that a run is done."""
        return cls(run, _DONE)

    @classmethod
    def shards(cls, run: str) -> Self:
        """The id of the entry that says how many shards a run has, if it has several."""
        return cls(run, _SHARDS)

    @property
    def whole(self) -> Self:
        """The id of the whole batch: itself, or the batch that it is a part of."""
        return replace(self, parts=()) if self.parts else self

    @property
    def is_batch(self) -> bool:
        """Whether it identifies a batch or a part; otherwise it is one of the run's own entries."""
        return self.entry not in (_BEGIN, _STAGED, _DONE, _SHARDS)

    @property
    def shard(self) -> int:
        """The shard that it is of; 0 where there are none."""
        return run_and_shard(self.run)[1]

    @property
    def given(self) -> Self:
        """The id of the batch as its source gives it: the whole one, in all shards."""
        run, _ = run_and_shard(self.run)
        return replace(self, run=run, parts=()) if self.parts or run != self.run else self

    def of_shard(self, shard: int) -> Self:
        """The id of what is in one of the shards."""
        return replace(self, run=shard_run(self.run, shard))

    def part(self, place: int) -> Self:
        """The id of its first (0) or second (1) part."""
        return replace(self, parts=(*self.parts, place))


@dataclass(frozen=True, slots=True)
class Begun:
    """How a run of a file began: what must be the same when it goes on.

    The run is of the file's rows in [start, end), in its unit, where they are known, which earlier
    versions did not write down; nor did they `head`, the checksum of what the file begins with, and
    `sample`, its fingerprint when it had `size` bytes. `dates` are the columns that they come from.
    `encoding` is empty for UTF-8.
    """

    file: str
    size: int
    content: str
    publication: str
    model: str
    batch_bytes: int
    format: int
    head: str = ""
    sample: str = ""
    start: int = 0
    end: int = 0
    dates: str = ""
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """The store has the batch's counts, or they are none.

    `checksum` is that of the bytes that they are of; earlier versions did not keep it.
    """

    tally: Tally = field(default_factory=Tally)
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """The batch was split before its row `at`; its parts have entries of their own."""

    at: int
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Staged:
    """The run is counted into another store first, the file `path` on `host`, and published.

    `by` is the run of which that store's publishing is.
    """

    by: str
    host: str
    path: str


@dataclass(frozen=True, slots=True)
class Done:
    """All of a run's rows are in the store or the rejects. `at` is in seconds since 1970.

    `checksum` is that of all its ranges, and `end` where the last one ended.
    """

    tally: Tally
    file: str = ""
    at: float = 0.0
    checksum: str = ""
    end: int = 0


@dataclass(frozen=True, slots=True)
class Shards:
    """The run has so many shards. Its own entries are these and how it began and ended; those of
    its batches are the shards'."""

    number: int


Entry = Begun | Staged | Counted | Split | Done | Shards

Ledger = dict[BatchId, Entry]


def entry_to_json(entry: Entry) -> str:
    """The text that a store keeps for an entry."""
    match entry:
        case Counted(tally, checksum):
            value = {**tally.to_json(), **_known(checksum=checksum)}
        case Split(at, checksum):
            value = {"split": at, **_known(checksum=checksum)}
        case Done(tally, file, at, checksum, end):
            value = {**tally.to_json(), "file": file, "at": at}
            value |= _known(checksum=checksum, end=end)
        case Begun():
            value = {each.name: getattr(entry, each.name) for each in fields(Begun)}
            value = {name: each for name, each in value.items() if each or name in _ALWAYS}
        case Staged(by, host, path):
            value = {"by": by, "host": host, "path": path}
        case Shards(number):
            return json.dumps([_SHARDS, number])  # no object, so that earlier versions refuse it
    return json.dumps(value)


_ALWAYS = frozenset(each.name for each in fields(Begun) if each.default is MISSING)


def _known(**values: str | int) -> dict[str, str | int]:
    """What is not empty: earlier versions did not know it."""
    return {name: each for name, each in values.items() if each}


def entry_from_json(batch_id: BatchId, text: str) -> Entry:
    """The entry that a store keeps under an id, from its text."""
    if batch_id.entry == _SHARDS:
        return Shards(int(json.loads(text)[1]))
    value: Mapping[str, Any] = json.loads(text)
    if batch_id.entry == _BEGIN:
        return Begun(
            **{each.name: value[each.name] for each in fields(Begun) if each.name in value}
        )
    if batch_id.entry == _STAGED:
        return Staged(value["by"], value["host"], value["path"])
    if batch_id.entry == _DONE:
        found = {name: value[name] for name in ("file", "at", "checksum", "end") if name in value}
        return Done(Tally.from_json(value), **found)
    checksum = value.get("checksum", "")
    if "split" in value:
        return Split(value["split"], checksum)
    return Counted(Tally.from_json(value), checksum)


def shards_in(ledger: Ledger, run: str) -> int:
    """How many shards a run has, by its ledger."""
    found = ledger.get(BatchId.shards(run))
    return found.number if isinstance(found, Shards) else 1


def read_ledger(rows: Mapping[str, str]) -> Ledger:
    """Entries by id, from both as text. Raises LedgerError when one can't be read."""
    found: Ledger = {}
    for key, text in rows.items():
        try:
            batch_id = BatchId.parse(key)
            found[batch_id] = entry_from_json(batch_id, text)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise LedgerError(
                f"the store's ledger has an entry {key!r} that this version of daskingest cannot "
                f"read ({text[:80]}); use the version that wrote it, or remove the entry"
            ) from error
    return found
