"""What counting costs in writes, which Firestore bills: counted at the client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from emulated import COMMIT
from google.cloud.firestore_v1.types import CommitRequest, CommitResponse
from program import free_port

from daskingest.extraction import extract
from daskingest.ledger import BatchId, Counted
from daskingest.models import find_model, load_model
from daskingest.packed import merged
from daskingest.pipeline.saver import Saver
from daskingest.settings import BATCH_BYTES
from daskingest.sources.boundaries import ranges
from daskingest.sources.csvfile import open_csv


class Sink(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A Firestore that has nothing, and takes everything."""

    def __init__(self) -> None:
        self.commits = self.writes = self.largest = 0

    def service(self, details: Any) -> Any:
        if details.method == COMMIT:
            return grpc.unary_unary_rpc_method_handler(self.commit)
        return grpc.unary_stream_rpc_method_handler(lambda request, context: iter(()))

    def commit(self, request: bytes, context: Any) -> bytes:
        self.commits += 1
        writes = len(CommitRequest.pb(CommitRequest()).FromString(request).writes)
        self.writes += writes
        self.largest = max(self.largest, len(request))
        return bytes(CommitResponse.serialize(CommitResponse(write_results=[{}] * writes)))


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    sink = Sink()
    options = [("grpc.max_receive_message_length", 10 << 20)]
    server = grpc.server(ThreadPoolExecutor(4), handlers=[sink], options=options)
    address = f"127.0.0.1:{free_port()}"
    server.add_insecure_port(address)
    server.start()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
    yield sink
    server.stop(None).wait()


@pytest.mark.slow
def test_writes_against_distinct_words(many_real_articles: Path, sink: Sink) -> None:
    model = load_model(find_model(None))
    file = open_csv(str(many_real_articles), None, None)
    batches = [extract(each.rows(), model) for each in ranges(file, BATCH_BYTES)]

    async def go() -> None:
        saver = Saver("firestore://sink", 60.0, "me")
        for i, batch in enumerate(batches):
            await saver.add(BatchId("r", str(i)), batch.counts.packed(), Counted(batch.tally))
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
