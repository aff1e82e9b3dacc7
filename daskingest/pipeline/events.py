"""The dispatcher's input and output: events and instructions."""

from __future__ import annotations

from dataclasses import dataclass

from daskingest.articles import Reject
from daskingest.counts import Tally
from daskingest.errors import DaskingestError
from daskingest.ledger import BatchId, Entry, Ledger
from daskingest.pipeline.batch import Batch

# Events: what has happened.


@dataclass(frozen=True, slots=True)
class Taken:
    """The source returned these batches. Empty: it has none yet; None: no more will come."""

    batches: list[Batch] | None


@dataclass(frozen=True, slots=True)
class Woken:
    """The source may have batches now."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """A task succeeded: the saver that it was submitted with has the counts."""

    batch_id: BatchId
    rejects: list[Reject]


@dataclass(frozen=True, slots=True)
class SaverUnreached:
    """A task ended, but its counts did not reach the saver."""

    batch_id: BatchId
    reason: str


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """A task raised an error."""

    batch_id: BatchId
    error: Exception


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """The worker that had the batch's task died."""

    batch_id: BatchId


@dataclass(frozen=True, slots=True)
class RowsCounted:
    """The number of rows in a batch."""

    batch_id: BatchId
    rows: int


@dataclass(frozen=True, slots=True)
class NotHandedOver:
    """A ledger entry did not reach the saver with this number."""

    batch_id: BatchId
    saver: int


@dataclass(frozen=True, slots=True)
class Reported:
    """The store has these entries. `refused` are batches that are too large for one commit."""

    committed: Ledger
    refused: tuple[BatchId, ...] = ()


@dataclass(frozen=True, slots=True)
class SaverGone:
    """The saver with this number is lost, with what it had not committed."""

    saver: int


@dataclass(frozen=True, slots=True)
class SaverStarted:
    """There is a new saver, and this is the store's ledger of the requested runs."""

    saver: int
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class WorkersSeen:
    """The current number of extraction workers."""

    workers: int


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A stop was requested: nothing more must be submitted."""


Event = (
    Taken
    | Woken
    | Extracted
    | SaverUnreached
    | TaskFailed
    | WorkerDied
    | RowsCounted
    | NotHandedOver
    | Reported
    | SaverGone
    | SaverStarted
    | WorkersSeen
    | StopAsked
)


# Instructions: what the driver must do.


@dataclass(frozen=True, slots=True)
class Take:
    """Ask the source for batches, see `BatchSource.take`. Answered by Taken."""

    most: int
    idle: int


@dataclass(frozen=True, slots=True)
class Submit:
    """Have a worker extract a batch. Answered by one of the events for the end of a task."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class CountRows:
    """Count the rows of a batch. Answered by RowsCounted."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give the saver a ledger entry without counts, to be committed at once.

    Answered by NotHandedOver if that failed, or by Reported when the store has it.
    """

    batch_id: BatchId
    entry: Entry
    saver: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Have the saver commit what it has now. Answered by Reported or SaverGone."""

    saver: int


@dataclass(frozen=True, slots=True)
class StartSaver:
    """Start a saver, and read the ledger of these runs. Answered by SaverStarted."""

    runs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Finished:
    """Notify the observer: the store has a batch, or a part of one.

    `rejects` is None if this process has not seen them. `fresh` says that this run committed it,
    `last` that the store now has all of the whole batch.
    """

    batch: Batch
    tally: Tally
    rejects: list[Reject] | None
    fresh: bool
    last: bool


@dataclass(frozen=True, slots=True)
class Fail:
    """Give up: it makes no sense to continue. No instruction follows."""

    error: DaskingestError


@dataclass(frozen=True, slots=True)
class End:
    """Everything is in the store, or, after a stop, everything that was in flight.

    No instruction follows.
    """

    complete: bool


Instruction = Take | Submit | CountRows | HandOver | Drain | StartSaver | Finished | Fail | End
