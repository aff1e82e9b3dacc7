"""Where counts are kept: the protocol of all stores, and `open_store`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from daskingest.counts import Counts
from daskingest.errors import UsageError
from daskingest.ledger import BatchId, Done, Entry, Ledger
from daskingest.settings import DEFAULT_STORE


class AlreadyCommitted(Exception):
    """A commit was refused as a whole: the ledger already has one of its batch ids."""


class TooLarge(Exception):
    """A commit was refused as a whole: it is too large for the store."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication and the number of its articles."""

    key: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Word:
    """A word of one publication: how often it occurred, in total and by label."""

    word: str
    count: int
    labels: dict[str, int]


class Store(Protocol):
    """The counts, and the ledger of the batches that they contain.

    Not bound to a thread until first used; from then on to be used by one thread at a time.
    Raises StoreError if it cannot be read or written.
    """

    billed: bool
    """Whether reads and writes are billed."""

    commit_size: int
    """How many counters (see `Counts.size`) a commit should have at most."""

    settled_after: float
    """Seconds after which a commit requested by a dead process has been made, or never will be."""

    def commit(self, counts: Counts, entries: Mapping[BatchId, Entry]) -> int:
        """Add the counts and the ledger entries, by batch id: all of them, durably, or none.

        Returns the number of rows or documents written. Raises AlreadyCommitted if the ledger has
        one of the ids, and TooLarge if this is too much for one commit; nothing is written then.
        """

    def ledger(self, run: str) -> Ledger:
        """All ledger entries of a run."""

    def ledger_entries(self, batch_ids: Collection[BatchId]) -> Ledger:
        """Those of these ledger entries that exist."""

    def finished(self) -> dict[str, Done]:
        """The runs that are done, with their entries."""

    def forget(self, batch_ids: Collection[BatchId]) -> None:
        """Remove the ledger entries of these batches and of their parts.

        Only for batches that will never be submitted again: the ledger no longer knows them.
        """

    def publications(self) -> list[Publication]:
        """All publications, by count descending, then key."""

    def publication(self, key: str) -> Publication | None:
        """The publication with this key, if there is one."""

    def words(
        self,
        publication: str,
        limit: int,
        after: tuple[int, str] | None = None,
        label: str | None = None,
    ) -> list[Word]:
        """A page of a publication's words, by count descending, then word.

        `publication` is its key; the page begins after the (count, word) `after`. With `label`,
        only what was counted under that label is considered.
        """

    def search(
        self, publication: str, text: str, limit: int, label: str | None = None
    ) -> list[Word]:
        """Words of a publication that contain a text, ordered and filtered as by `words`.

        Firestore finds only words that begin with it.
        """

    def find_words(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Word]:
        """Those of these (publication key, word) pairs that occur."""

    def all_words(self, publication: str | None = None) -> Iterator[tuple[str, str, str, int]]:
        """Every (publication name, word, label, count), by publication key, word and label.

        Of all publications, or of the one with this key.
        """

    def forecast(self, size: int) -> str:
        """A sentence on what counting so many bytes of CSV will cost; empty if it costs nothing."""

    def close(self) -> None:
        """Release the store's resources. A closed store opens itself when it is used again."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def open_store(url: str = DEFAULT_STORE, create: bool = False) -> Store:
    """The store at a URL: `sqlite:///PATH`, with a fourth slash for an absolute path, or
    `firestore://PROJECT[/DATABASE]`.

    Raises UsageError if this is not the URL of a store, and StoreError if there is no store (unless
    `create`) or it cannot be used.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from daskingest.stores.sqlite import SqliteStore

        store = SqliteStore(rest[1:], create=create)
        store.check()
        return store
    project, _, database = rest.partition("/")
    if scheme == "firestore" and project and "/" not in database:
        from daskingest.stores.firestore import FirestoreStore

        firestore = FirestoreStore(project, database or None, create=create)
        firestore.check()
        return firestore
    hint = " (three slashes)" if scheme == "sqlite" and separator else ""
    raise UsageError(
        f"no such store: expected sqlite:///PATH{hint} or firestore://PROJECT[/DATABASE], "
        f"found {url!r}"
    )


def absolute_url(url: str) -> str:
    """The URL with an absolute path: the same store from any working directory."""
    prefix = "sqlite:///"
    return (
        prefix + str(Path(url.removeprefix(prefix)).absolute()) if url.startswith(prefix) else url
    )
