"""The Firestore emulator as a process, and a proxy in front of it that causes failures."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
from parts import lacking
from program import free_port

from daskingest.stores import open_store

TESTS = Path(__file__).parent
COMMIT = "/google.firestore.v1.Firestore/Commit"


@contextmanager
def emulator(script: str = "server.mjs") -> Iterator[str]:
    """Its address. Skips, or fails where all parts are required, when it isn't installed."""
    node = shutil.which("node")
    if node is None or not (TESTS / "node_modules").is_dir():
        lacking("the Firestore emulator is not installed: npm ci --prefix tests")
    port = free_port()
    with subprocess.Popen(
        [node, str(TESTS / "emulator" / script), str(port)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


Fault = Callable[[Callable[[], bytes]], bytes]
"""What becomes of a commit, which it is given to do."""


class Proxy:
    """Passes calls on to the emulator; commits go through `fault`, which tests may set."""

    def __init__(self, target: str) -> None:
        self.fault: Fault = lambda commit: commit()
        self.invalid: bytes | None = None
        """What no commit may hold."""
        self.commits = 0
        self.address = f"127.0.0.1:{free_port()}"
        self._target = grpc.insecure_channel(target)
        self._server: grpc.Server | None = None
        self.connect()

    def connect(self) -> None:
        """Listen, also again after `cut`."""
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((_Handler(self),))
        self._server.add_insecure_port(self.address)
        self._server.start()

    def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        assert self._server is not None
        self._server.stop(None).wait()

    def close(self) -> None:
        """Stop for good."""
        self.cut()
        self._target.close()

    def unary(self, method: str, request: bytes, context: Any) -> bytes:
        """Pass on a call with one answer."""

        def call() -> bytes:
            answer: bytes = self._target.unary_unary(method)(request, timeout=60)
            return answer

        self.commits += method == COMMIT
        if method == COMMIT and self.invalid is not None and self.invalid in request:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not this")
        try:
            return self.fault(call) if method == COMMIT else call()
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
            raise

    def stream(self, method: str, request: bytes, context: Any) -> Iterator[bytes]:
        """Pass on a call with many answers."""
        try:
            yield from self._target.unary_stream(method)(request, timeout=60)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def service(self, details: Any) -> Any:
        method, proxy = details.method, self._proxy
        if method.endswith(("/RunQuery", "/BatchGetDocuments")):
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: proxy.stream(method, request, context)
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: proxy.unary(method, request, context)
        )


class Refused(grpc.RpcError):  # type: ignore[misc]
    """An answer that the proxy makes up."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__()
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "as the test wants it"


class RandomFaults:
    """For some of the commits: errors before or after they are applied, and repetitions."""

    CODES = (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    )

    KINDS = tuple(itertools.product(("before", "after"), CODES))

    def __init__(self, share: float, seed: int = 0) -> None:
        self.seen: Counter[object] = Counter()
        self._share = share
        self._random = random.Random(seed)
        self._kinds = itertools.cycle(
            (*self.KINDS, ("twice", None), ("late", None), ("copied", None))
        )
        self._lock = threading.Lock()

    def __call__(self, commit: Callable[[], bytes]) -> bytes:
        with self._lock:
            if self._random.random() >= self._share:
                kind, code = "not at all", None
            else:
                kind, code = next(self._kinds)
            self.seen[kind, code] += 1
        if kind == "before" and code is not None:
            raise Refused(code)
        answer = commit()
        if kind == "after" and code is not None:
            raise Refused(code)
        if kind == "late":
            time.sleep(0.2)
        if kind == "copied":  # long after its answer
            copy = threading.Timer(self._random.uniform(0.1, 3.0), _quietly, [commit])
            copy.daemon = True
            copy.start()
        return commit() if kind == "twice" else answer


def _quietly(commit: Callable[[], bytes]) -> None:
    with suppress(Exception):
        commit()


StoreContent = tuple[dict[str, int], dict[tuple[str, str, str], int]]


def content(url: str) -> StoreContent:
    """The articles by publication, and the counts, of any store."""
    with open_store(url) as store:
        found = store.publications()
        keys = {each.name: each.key for each in found}
        words = {(keys[name], word, label): n for name, word, label, n, _ in store.all_words()}
        return {each.key: each.count for each in found}, words


def by_month(url: str) -> dict[tuple[str, str], dict[int, int]]:
    """A store's articles, of which the word is empty, and words, by publication: by month."""
    with open_store(url) as store:
        found = {(key, ""): months for key, months in store.article_months().items()}
        for publication in store.publications():
            key = publication.key
            found |= {(key, word): months for word, months in store.all_months(key)}
    return found
