"""Reading a store: from an event loop, and by names as people type them."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread, local
from typing import TypeVar

from daskingest.articles import publication_key
from daskingest.errors import StoreError, UsageError
from daskingest.shown import NO_ALIASES
from daskingest.stores import Publication, ReadableStore, open_store
from daskingest.stores.aliased import Kept, aliased
from daskingest.stores.aliases import ALONE, Aliases, aliases_from
from daskingest.text import as_unicode

ANSWER_SECONDS = 30.0
"""For one read, with the wait for a thread."""

_THREADS = 4
_END_SECONDS = 5.0

T = TypeVar("T")


def open_to_read(url: str, aliases: str = NO_ALIASES) -> ReadableStore:
    """The store at a URL, read through the aliases that a setting chooses.

    Raises UsageError and StoreError as `open_store` and `aliases_from` do.
    """
    chosen = aliases_from(aliases)
    return aliased(open_store(url), chosen)


class ReadPool:
    """Threads that read the store at a URL; each opens it for itself, and none writes.

    They are daemons: one that waits for a store that does not answer keeps no program from ending.
    """

    def __init__(self, url: str, aliases: Aliases = ALONE) -> None:
        self.url = url
        self._aliases = aliases
        self._kept: Kept = {}
        self._reads: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._closed = False
        self._stores = local()
        self._threads = [
            Thread(target=self._go_on, name=f"reader_{number}", daemon=True)
            for number in range(_THREADS)
        ]
        for each in self._threads:
            each.start()

    async def read(self, work: Callable[[ReadableStore], T]) -> T:
        """What `work` returns, called with the store. Raises StoreError if it cannot be read, or
        does not answer within half a minute.
        """
        if self._closed:
            raise StoreError("the store is not read any more: the program is about to end")
        result: Future[T] = Future()

        def read() -> None:
            if self._closed:
                result.cancel()
            if result.set_running_or_notify_cancel():
                try:
                    result.set_result(work(self._store()))
                except BaseException as error:
                    result.set_exception(error)

        self._reads.put(read)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asyncio.wrap_future(result)
        except TimeoutError:
            raise StoreError(
                f"the store has not answered for {ANSWER_SECONDS:.0f} seconds"
            ) from None

    def close(self) -> None:
        """Start no more reads, and wait a moment for those that are under way."""
        self._closed = True
        with suppress(Empty):
            while read := self._reads.get_nowait():
                read()
        for _ in self._threads:
            self._reads.put(None)
        deadline = time.monotonic() + _END_SECONDS
        for each in self._threads:
            each.join(max(0.0, deadline - time.monotonic()))

    def _go_on(self) -> None:
        while (read := self._reads.get()) is not None:
            read()

    def _store(self) -> ReadableStore:
        """This thread's."""
        if not hasattr(self._stores, "store"):
            self._stores.store = aliased(open_store(self.url), self._aliases, self._kept)
        store: ReadableStore = self._stores.store
        return store


def publication_named(store: ReadableStore, name: str) -> Publication | None:
    """The publication of this name, if there is one, however it is spaced, cased and composed."""
    earlier = " ".join(name.split()).lower()  # as earlier versions kept it
    for key in dict.fromkeys((publication_key(name), earlier)):
        if (found := store.publication(key)) is not None:
            return found
    return None


def find_publication(store: ReadableStore, name: str) -> Publication:
    """The publication of this name. Raises UsageError, with similar names, if there is none."""
    name = as_unicode(name)
    if (found := publication_named(store, name)) is not None:
        return found
    every = store.publications()
    names = {each.key: each.name for each in every}
    close = [
        names[k] for k in difflib.get_close_matches(publication_key(name), names, n=3, cutoff=0.4)
    ]
    close = close or [each.name for each in every[:3]]
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ": the store is empty"
    raise UsageError(f"no publication {name!r}{hint}")
