"""The task that runs on extraction workers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from daskingest.articles import Article, Reject
from daskingest.extraction import extract, extract_shards
from daskingest.ledger import Counted
from daskingest.models import load_model
from daskingest.packed import CompressedCounts
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.notices import Notices
from daskingest.pipeline.saver_client import SaverRef
from daskingest.pipeline.saver_numbers import place_of
from daskingest.settings import RecognizerKind

_HARMLESS = Article("Angela Merkel met Barack Obama in Berlin on Monday.", "control")


class Unfit(Exception):
    """A worker can't extract even a harmless text."""


class TaskResult(NamedTuple):
    """A task's result for the driver: the batch's rejects, and the duration in seconds."""

    rejects: list[Reject]
    seconds: float


@dataclass(frozen=True, slots=True)
class Assignment:
    """A batch for a worker. `controlled`: the worker first shows that it can extract at all.

    The savers, by place, get its counts.
    """

    batch: Batch
    model: str
    recognizer: RecognizerKind
    savers: tuple[SaverRef, ...]
    notices: Notices
    controlled: bool


def count_batch(assignment: Assignment) -> TaskResult:
    """The task: extract a batch and hand its counts to the saver, or to that of each shard.

    Raises SaverLost if one can't be reached, Unfit if the control fails.
    """
    batch, find = assignment.batch, load_model(assignment.model, assignment.recognizer)
    assignment.notices.begun()
    if assignment.controlled:
        try:
            tally = extract([_HARMLESS], find).tally
        except Exception as error:
            raise Unfit(f"{type(error).__name__}: {error}") from error
        if tally.failed:
            raise Unfit("the model raised an error")
        assignment.notices.control_passed()
    started = time.perf_counter()
    found = extract_shards(batch.rows(), find, batch.shards, batch.wanted)
    seconds = time.perf_counter() - started
    rejects: list[Reject] = []
    for its in batch.apart():
        [shard] = its.wanted
        mine, savers = found[shard], assignment.savers
        saver = savers[place_of(shard, len(savers))]
        counts = CompressedCounts.of(mine.counts.packed())
        saver.add(its.id, counts, Counted(mine.tally, batch.checksum))
        rejects += mine.rejects
    result = TaskResult(rejects, seconds)
    assignment.notices.result(result)
    return result
