"""What Firestore would be asked to write: counted by a server that takes everything."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.cloud.firestore_v1.types import CommitRequest, CommitResponse

from daskingest.progress import Progress
from daskingest.publishing.publish import publish
from daskingest.publishing.route import Route
from daskingest.stores import open_store
from daskingest.stores.emulator import VARIABLE

_COMMIT = "/google.firestore.v1.Firestore/Commit"


class Sink(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A Firestore that has nothing, and takes everything. `largest` is in bytes."""

    def __init__(self) -> None:
        self.commits = self.writes = self.largest = 0

    def service(self, details: Any) -> Any:
        """See `grpc.GenericRpcHandler`."""
        if details.method == _COMMIT:
            return grpc.unary_unary_rpc_method_handler(self._commit)
        return grpc.unary_stream_rpc_method_handler(lambda request, context: iter(()))

    def _commit(self, request: bytes, context: Any) -> bytes:
        self.commits += 1
        writes = len(CommitRequest.pb(CommitRequest()).FromString(request).writes)
        self.writes += writes
        self.largest = max(self.largest, len(request))
        return bytes(CommitResponse.serialize(CommitResponse(write_results=[{}] * writes)))


@contextmanager
def firestore_sink() -> Iterator[Sink]:
    """One that the stores of this process use while inside."""
    sink = Sink()
    options = [("grpc.max_receive_message_length", 10 << 20)]
    server = grpc.server(ThreadPoolExecutor(4), handlers=[sink], options=options)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    server.add_insecure_port(address)
    server.start()
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = address
    try:
        yield sink
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before
        server.stop(None).wait()


def firestore_writes_vs_floor(store: Path) -> float:
    """All writes of publishing an SQLite store to Firestore, for each of its distinct words.

    Words of different publications are different. The store is copied, and must not be in use.
    """
    with tempfile.TemporaryDirectory() as folder, firestore_sink() as sink:
        copy = Path(folder) / "store.db"
        shutil.copyfile(store, copy)
        url = f"sqlite:///{copy}"
        with open_store(url) as opened:
            words = {(name, word) for name, word, *_ in opened.all_words()}
        publish(Route.between(url, "firestore://sink"), Progress(), lambda: False)
        return sink.writes / len(words)
