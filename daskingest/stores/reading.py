"""Reading a store: from an event loop, and by names as people type them."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import TypeVar

from daskingest.articles import publication_key
from daskingest.errors import UsageError
from daskingest.shown import NO_ALIASES
from daskingest.stores import Publication, ReadableStore, open_store
from daskingest.stores.aliased import Kept, aliased
from daskingest.stores.aliases import ALONE, Aliases, aliases_from
from daskingest.text import as_unicode

_THREADS = 4

T = TypeVar("T")


def open_to_read(url: str, aliases: str = NO_ALIASES) -> ReadableStore:
    """The store at a URL, read through the aliases that a setting chooses.

    Raises UsageError and StoreError as `open_store` and `aliases_from` do.
    """
    chosen = aliases_from(aliases)
    return aliased(open_store(url), chosen)


class ReadPool:
    """Threads that read the store at a URL; each opens it for itself, and none writes."""

    def __init__(self, url: str, aliases: Aliases = ALONE) -> None:
        self.url = url
        self._aliases = aliases
        self._kept: Kept = {}
        self._threads = ThreadPoolExecutor(_THREADS, "reader")
        self._stores = local()

    async def read(self, work: Callable[[ReadableStore], T]) -> T:
        """What `work` returns, called with the store. Raises StoreError if it cannot be read."""

        def with_store() -> T:
            if not hasattr(self._stores, "store"):
                self._stores.store = aliased(open_store(self.url), self._aliases, self._kept)
            store: ReadableStore = self._stores.store
            return work(store)

        return await asyncio.get_running_loop().run_in_executor(self._threads, with_store)

    def close(self) -> None:
        """Start no more reads."""
        self._threads.shutdown(cancel_futures=True)


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
