"""The task that runs on extraction workers."""

from __future__ import annotations

import time
from typing import NamedTuple

from daskingest.articles import Reject
from daskingest.extraction import extract
from daskingest.ledger import Counted
from daskingest.models import load_model
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.saver_client import SaverRef


class TaskResult(NamedTuple):
    """A task's result for the driver: the batch's rejects, and the duration in seconds."""

    rejects: list[Reject]
    seconds: float


def count_batch(batch: Batch, model: str, saver: SaverRef) -> TaskResult:
    """Extract a batch and hand its counts to the saver.

    Raises SaverLost if the saver can't be reached.
    """
    started = time.perf_counter()
    found = extract(batch.rows(), load_model(model))
    seconds = time.perf_counter() - started
    saver.add(batch.id, found.counts, Counted(found.tally))
    return TaskResult(found.rejects, seconds)
