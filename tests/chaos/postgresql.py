"""A PostgreSQL server of the suite's own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil
import psycopg
import pytest
from emulated import content
from postgres import Server, server

from chaos.articles import Counts
from chaos.faults import Impossible
from daskingest.errors import StoreError
from daskingest.stores import Store, open_store


class PostgresqlServer:
    """A server, started when it is first needed. `close` at the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._server: Server | None = None

    def store(self) -> PostgresqlDatabase:
        """An empty store. Raises Impossible where no server is installed."""
        if self._server is None:
            try:
                self._server = self._stack.enter_context(server())
            except pytest.skip.Exception as why:
                raise Impossible(str(why)) from None
        return PostgresqlDatabase(self._server)

    def close(self) -> None:
        """Stop it."""
        self._stack.close()


class PostgresqlDatabase:
    """See `StoreUnderTest`. When it is away, the server was ended at once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._name = server.new_database()
        self.url = server.url(self._name)
        self.environment: dict[str, str] = {}

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """See `StoreUnderTest`."""
        with open_store(self.url, create=True) as store:
            yield store

    def counts(self) -> Counts:
        """See `StoreUnderTest`."""
        articles, words = content(self.url)
        return articles, Counter(words)

    def articles(self) -> int:
        """See `StoreUnderTest`."""
        with suppress(StoreError, psycopg.Error), open_store(self.url) as store:
            return sum(each.count for each in store.publications())
        return 0

    def is_open_in(self, process: psutil.Process) -> bool:
        """See `StoreUnderTest`."""
        try:
            connections = process.net_connections("tcp")
        except psutil.Error:
            return False
        return any(each.raddr and each.raddr.port == self._server.port for each in connections)

    def go_away(self) -> None:
        """See `StoreUnderTest`."""
        self._server.stop(at_once=True)

    def come_back(self) -> None:
        """See `StoreUnderTest`."""
        self._server.start()

    def lose_answers(self, seed: int) -> None:
        """See `StoreUnderTest`."""
        raise Impossible("its connection is not disturbed here")

    def hold_commit(self) -> threading.Event:
        """See `StoreUnderTest`."""
        raise Impossible("its connection is not disturbed here")

    def commit_faithfully(self) -> None:
        """See `StoreUnderTest`."""

    def close(self) -> None:
        """See `StoreUnderTest`."""
        self._server.drop(self._name)
