"""Batches and their parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from daskingest.articles import Article, Reject
from daskingest.ledger import BatchId, Counted, Ledger, Split
from daskingest.pipeline.batch import Batch, Measure, planned
from daskingest.sources.csvrows import CsvRange
from daskingest.tally import Tally


def test_parts_of_a_batch() -> None:
    source = CsvRange(path="x", layout=None, start=0, end=100, row_count=10)  # type: ignore[arg-type]
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


@dataclass(frozen=True)
class Texts:
    """Articles with these texts, and a reject for each empty one."""

    texts: tuple[str, ...]
    nbytes: int = 0

    @property
    def size(self) -> int:
        return 100

    def rows(self) -> Iterator[Article | Reject]:
        return (Article(each, "p") if each else Reject("no content") for each in self.texts)


def test_what_a_batch_measures() -> None:
    batch = Batch(BatchId("r", "0"), Texts(("a", "é", "", "bcd")))
    assert batch.measure() == Measure(4, 6, 2)
    assert batch.size == 100
    head, tail = batch.parts(1)
    assert (head.measure(), tail.measure()) == (Measure(1, 1, 0), Measure(3, 5, 1))
    assert head.size == 50


def test_what_the_ledger_says_of_batches() -> None:
    batch, other = (Batch(BatchId("r", str(n)), Texts(("a", "b"))) for n in range(2))
    head, tail = batch.parts(1)
    tally = Tally(rows=1, articles=1)
    ledger: Ledger = {batch.id: Split(1), tail.id: Counted(tally)}
    assert list(planned([batch, other], ledger)) == [(head, None), (tail, tally), (other, None)]
    assert not ledger
