"""Batches and their parts."""

from __future__ import annotations

from daskingest.ledger import BatchId
from daskingest.pipeline.batch import Batch
from daskingest.sources.csvfile import CsvRange


def test_parts_of_a_batch() -> None:
    source = CsvRange("x", None, 0, 100, 0, 10)  # type: ignore[arg-type]
    batch = Batch(BatchId.parse("r:0"), source)
    first, second = batch.parts(4)
    assert (str(first.id), first.first, first.last) == ("r:0.0", 0, 4)
    assert (str(second.id), second.first, second.last) == ("r:0.1", 4, None)
    third, fourth = first.parts(1)
    assert (str(third.id), third.first, third.last) == ("r:0.0.0", 0, 1)
    assert (str(fourth.id), fourth.first, fourth.last) == ("r:0.0.1", 1, 4)
    limited = Batch(BatchId.parse("r:0"), source, only=4)
    assert [(str(part.id), part.only) for part in limited.parts(4)] == [("r:0.0", None)]
    assert [(str(part.id), part.only) for part in limited.parts(6)] == [("r:0.0", 4)]
    assert [(str(part.id), part.only) for part in limited.parts(1)] == [
        ("r:0.0", None),
        ("r:0.1", 3),
    ]
