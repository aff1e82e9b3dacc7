"""What counting costs in writes, which Firestore bills: counted at the client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from daskingest.benchmarks.firestore import Sink, firestore_sink, firestore_writes_vs_floor
from daskingest.extraction import extract
from daskingest.ledger import BatchId, Counted
from daskingest.models import find_model, load_model
from daskingest.packed import CompressedCounts, merged
from daskingest.pipeline.saver import Saver
from daskingest.settings import BATCH_BYTES
from daskingest.sources.csvfile import open_csv
from daskingest.stores import open_store


@pytest.fixture
def sink() -> Iterator[Sink]:
    with firestore_sink() as found:
        yield found


def test_publishing_writes_each_word_once(sample: Path, tmp_path: Path) -> None:
    model = load_model(find_model(None))
    path = tmp_path / "store.db"
    with open_store(f"sqlite:///{path}", create=True) as store:
        for i, part in enumerate(open_csv(str(sample), None, None).ranges(10_000)):
            store.commit(
                extract(part.rows(), model).counts.packed(), {BatchId("r", str(i)): Counted()}
            )
    with firestore_sink() as before:
        found = firestore_writes_vs_floor(path)
    assert before.writes == 0
    assert 1.0 < found < 1.05  # eight publications, and three for the ledger


@pytest.mark.slow
def test_publishing_against_distinct_words(many_real_articles: Path, tmp_path: Path) -> None:
    model = load_model(find_model(None))
    path, file = tmp_path / "store.db", open_csv(str(many_real_articles), None, None)
    with open_store(f"sqlite:///{path}", create=True) as store:
        for i, part in enumerate(file.ranges(BATCH_BYTES)):
            store.commit(
                extract(part.rows(), model).counts.packed(), {BatchId("r", str(i)): Counted()}
            )
    found = firestore_writes_vs_floor(path)
    print(f"publishing: {found:.4f} of the distinct words")
    assert 1.0 < found < 1.005


@pytest.mark.slow
def test_writes_against_distinct_words(many_real_articles: Path, sink: Sink) -> None:
    model = load_model(find_model(None))
    file = open_csv(str(many_real_articles), None, None)
    batches = [extract(each.rows(), model) for each in file.ranges(BATCH_BYTES)]

    async def go() -> None:
        saver = Saver("firestore://sink", 60.0, "me")
        for i, batch in enumerate(batches):
            await saver.add(
                BatchId("r", str(i)),
                CompressedCounts.of(batch.counts.packed()),
                Counted(batch.tally),
            )
        await saver.drain()

    asyncio.run(go())
    every = list(merged([batch.counts.packed() for batch in batches]).by_publication())
    articles = sum(each.articles for each, _, _ in every)
    mentions = sum(sum(words.counts) for _, words, _ in every)
    floor = sum(len(set(words.words)) for _, words, _ in every)
    print(
        f"{articles:,} articles, {len(batches)} batches: {sink.writes:,} writes, {sink.commits} "
        f"commits of up to {sink.largest / 1e6:.1f} MB, {1000 * sink.writes / articles:,.0f} "
        f"for 1,000 articles; {mentions:,} mentions, {floor:,} distinct words: "
        f"{sink.writes / floor:.2f} of the floor"
    )
    assert floor < sink.writes <= 1.5 * floor
    assert sink.largest <= 10 << 20
