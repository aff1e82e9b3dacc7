"""What runs on an extraction worker."""

from __future__ import annotations

import time
from typing import NamedTuple

from daskingest.articles import Reject
from daskingest.extraction import extract
from daskingest.ledger import Counted
from daskingest.models import load_model
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.saver_client import SaverRef
from daskingest.settings import RecognizerKind


class TaskResult(NamedTuple):
    """What a task tells the driver: the batch's rejects, and the seconds that extraction took."""

    rejects: list[Reject]
    seconds: float


def count_batch(
    batch: Batch, model: str, recognizer: RecognizerKind, saver: SaverRef
) -> TaskResult:
    """The task: extract a batch and hand its counts to the saver.

    Raises SaverLost if the saver can't be reached.
    """
    started = time.perf_counter()
    found = extract(batch.rows(), load_model(model, recognizer))
    seconds = time.perf_counter() - started
    saver.add(batch.id, found.counts, Counted(found.tally, batch.checksum))
    return TaskResult(found.rejects, seconds)
