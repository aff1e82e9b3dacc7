"""The dispatcher's input and output: events and instructions."""

from __future__ import annotations

from dataclasses import dataclass

from daskingest.articles import Reject
from daskingest.errors import DaskingestError
from daskingest.ledger import BatchId, Entry, Ledger
from daskingest.pipeline.batch import Batch
from daskingest.tally import Tally

# Events: what has happened.


@dataclass(frozen=True, slots=True)
class Taken:
    """The source returned these batches. Empty: it has none yet; None: no more will come."""

    batches: list[Batch] | None


@dataclass(frozen=True, slots=True)
class Woken:
    """The source may have batches now."""


@dataclass(frozen=True, slots=True)
class TaskBegun:
    """A worker has begun with a task. One that tries a suspect first takes a harmless text.

    Until then its process had `used` the processor for so many seconds.
    """

    batch_id: BatchId
    task: int
    used: float = 0.0


@dataclass(frozen=True, slots=True)
class ControlPassed:
    """The worker that tries a suspect has extracted a harmless text; now it takes the suspect.

    See `TaskBegun`.
    """

    batch_id: BatchId
    task: int
    used: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerLooked:
    """The process of a task's worker has `used` the processor for so many seconds in all.

    `hindered`: it can't use it, being stopped; or nobody knows, as its host does not answer.
    """

    batch_id: BatchId
    task: int
    used: float | None
    hindered: bool


@dataclass(frozen=True, slots=True)
class ControlFailed:
    """The worker that was to try a suspect raised an error over a harmless text."""

    batch_id: BatchId
    task: int
    reason: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """A task succeeded: the savers that it was submitted with have the counts."""

    batch_id: BatchId
    task: int
    rejects: list[Reject]


@dataclass(frozen=True, slots=True)
class SaverUnreached:
    """A task ended, but its counts did not reach each of the savers."""

    batch_id: BatchId
    task: int
    reason: str


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """A task raised an error."""

    batch_id: BatchId
    task: int
    error: Exception


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """The worker that had a task died or left.

    `explained`: Dask or the platform says why, so that it can't have been the batch.
    """

    batch_id: BatchId
    task: int
    explained: bool = False


@dataclass(frozen=True, slots=True)
class RowsCounted:
    """A batch has so many rows; see `Measure`."""

    batch_id: BatchId
    rows: int
    size: int
    middle: int


@dataclass(frozen=True, slots=True)
class NotHandedOver:
    """A ledger entry did not reach the saver with this number."""

    batch_id: BatchId
    saver: int


@dataclass(frozen=True, slots=True)
class Reported:
    """The store has these entries. Batches that are too large for one commit were refused, and
    invalid ones, which hold something that the store never takes.

    It is the saver of this place that tells it.
    """

    committed: Ledger
    refused: tuple[BatchId, ...] = ()
    invalid: tuple[BatchId, ...] = ()
    place: int = 0


@dataclass(frozen=True, slots=True)
class SaverGone:
    """The saver with this number is lost, with what it had not committed."""

    saver: int


@dataclass(frozen=True, slots=True)
class SaverStarted:
    """There is a new saver in this place, and this is the store's ledger of the requested runs, as
    far as their shards are that saver's."""

    saver: int
    ledger: Ledger
    place: int = 0


@dataclass(frozen=True, slots=True)
class WorkersSeen:
    """These workers, by address, can be given tasks."""

    workers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tick:
    """It is `now`, in seconds of a clock that only goes forward. Told every second or so."""

    now: float


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A stop was requested: nothing more must be submitted."""


Event = (
    Taken
    | Woken
    | TaskBegun
    | ControlPassed
    | WorkerLooked
    | ControlFailed
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
    | Tick
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
    """Have this worker extract a batch. Answered by TaskBegun and by the task's end.

    `task` tells it from the batch's other tasks. `alone`: the worker has no other task; it is to
    extract a harmless text first, and to tell when it has.
    """

    batch: Batch
    task: int
    worker: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Forget a task: what becomes of it is not to be told any more."""

    batch_id: BatchId
    task: int


@dataclass(frozen=True, slots=True)
class LookAtWorker:
    """See what a task's worker has had of the processor. Answered by WorkerLooked, or not."""

    batch_id: BatchId
    task: int
    worker: str


@dataclass(frozen=True, slots=True)
class KillWorker:
    """End a worker's process. The ends of its tasks follow."""

    worker: str


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
    """Start a saver in this place, and read the ledger of its shards of these runs.

    Answered by SaverStarted.
    """

    runs: frozenset[str]
    place: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """Notify the observer: the store has a batch, or a part of one.

    `rejects` is None if they are to be read again. `fresh` says that this run committed it, `last`
    that the store now has all of the whole batch, in all shards.
    """

    batch: Batch
    tally: Tally
    rejects: list[Reject] | None
    fresh: bool
    last: bool


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Notify the observer: a batch, or a part of one, cannot be counted, as its file is read."""

    batch: Batch
    error: DaskingestError


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


Instruction = (
    Take
    | Submit
    | Withdraw
    | LookAtWorker
    | KillWorker
    | CountRows
    | HandOver
    | Drain
    | StartSaver
    | Finished
    | GivenUp
    | Fail
    | End
)
