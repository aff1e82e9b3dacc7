"""The Firestore emulator behind a proxy that loses, repeats and delays commits."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psutil
import pytest
from emulated import COMMIT, Proxy, RandomFaults, content, emulator

from chaos.articles import Counts
from chaos.faults import Impossible
from daskingest.errors import StoreError
from daskingest.stores import Store, open_store
from daskingest.stores.emulator import VARIABLE

_LOOK_SECONDS = 0.3
_COUNTS = b"/ent/"  # is in the names of what a commit of counts writes
_LONGEST = 60.0  # seconds that a commit waits


class Emulator:
    """An emulator, started when it is first needed. `close` at the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._address = ""
        self._count = 0

    def store(self) -> FirestoreEmulated:
        """An empty store. Raises Impossible where no emulator is installed."""
        if not self._address:
            try:
                self._address = self._stack.enter_context(emulator())
            except pytest.skip.Exception as why:
                raise Impossible(str(why)) from None
        self._count += 1
        return FirestoreEmulated(self._address, f"chaos-{os.getpid()}-{self._count}")

    def close(self) -> None:
        """Stop it."""
        self._stack.close()


class FirestoreEmulated:
    """See `StoreUnderTest`. This process reads it through the emulator itself."""

    def __init__(self, address: str, project: str) -> None:
        self._proxy = _Proxy(address)
        self._address = address
        self._port = int(self._proxy.address.rpartition(":")[2])
        self.url = f"firestore://{project}"
        self.environment = {VARIABLE: self._proxy.address}
        self._looked, self._found = 0.0, 0

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """See `StoreUnderTest`."""
        with self._known(), open_store(self.url, create=True) as store:
            yield store

    def counts(self) -> Counts:
        """See `StoreUnderTest`."""
        with self._known():
            articles, words = content(self.url)
        return articles, Counter(words)

    def articles(self) -> int:
        """See `StoreUnderTest`. Looks again after a while."""
        if time.monotonic() > self._looked + _LOOK_SECONDS:
            with self._known(), suppress(StoreError), open_store(self.url, create=True) as store:
                self._found = sum(each.count for each in store.publications())
            self._looked = time.monotonic()
        return self._found

    @contextmanager
    def _known(self) -> Iterator[None]:
        """This process finds the emulator, for a while."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, self._address)
            yield

    def is_open_in(self, process: psutil.Process) -> bool:
        """See `StoreUnderTest`."""
        try:
            connections = process.net_connections("tcp")
        except psutil.Error:
            return False
        return any(each.raddr and each.raddr.port == self._port for each in connections)

    def go_away(self) -> None:
        """See `StoreUnderTest`."""
        self._proxy.cut()

    def come_back(self) -> None:
        """See `StoreUnderTest`."""
        self._proxy.connect()

    def lose_answers(self, seed: int) -> None:
        """See `StoreUnderTest`: of each second commit something goes wrong on its way, or on its
        answer's.
        """
        self._proxy.fault = RandomFaults(0.5, seed)

    def hold_commit(self) -> threading.Event:
        """See `StoreUnderTest`."""
        self._proxy.held = held = _Held()
        return held.begun

    def commit_faithfully(self) -> None:
        """See `StoreUnderTest`."""
        self._proxy.fault = lambda commit: commit()
        if self._proxy.held is not None:
            self._proxy.held.release.set()

    def close(self) -> None:
        """See `StoreUnderTest`."""
        self.commit_faithfully()
        self._proxy.close()


class _Held:
    """Lets the next commit of counts wait on its way, whatever becomes of who sent it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()
        self._lock = threading.Lock()

    def pass_on(self, request: bytes) -> None:
        """Return when the request may go on."""
        with self._lock:
            first = not self.begun.is_set() and _COUNTS in request
            if first:
                self.begun.set()
        if first:
            self.release.wait(_LONGEST)


class _Proxy(Proxy):
    """One that may hold a commit."""

    held: _Held | None = None

    def unary(self, method: str, request: bytes, context: Any) -> bytes:
        """See `Proxy`."""
        if method == COMMIT and self.held is not None:
            self.held.pass_on(request)
        return super().unary(method, request, context)
