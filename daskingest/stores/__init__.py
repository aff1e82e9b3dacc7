"""Where counts are kept: the protocol of all stores, and `open_store`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from daskingest.errors import StoreError, UsageError
from daskingest.ledger import BatchId, Begun, Done, Entry, Ledger
from daskingest.settings import DEFAULT_STORE
from daskingest.spelling import spelled
from daskingest.stores.urls import POSTGRESQL, shown_url

if TYPE_CHECKING:
    from daskingest.packed import PackedCounts  # with Arrow, which who only reads need not load

log = logging.getLogger(__name__)


class AlreadyCommitted(Exception):
    """A commit was refused as a whole: the ledger already has one of its batch ids."""


class Replaced(Exception):
    """A commit was refused whole because another saver has taken over a run of it."""

    def __init__(self, run: str, owner: str) -> None:
        super().__init__(run, owner)
        self.run = run
        self.owner = owner
        """Whose the run is now; empty if nobody has it."""


class TooLarge(Exception):
    """A commit was refused as a whole: it is too large for the store."""


class NoStore(StoreError):
    """Nothing has been counted there yet."""


class Invalid(StoreError):
    """A commit was refused whole because of what is in it: the store takes others, and this never.

    Whatever else keeps it from being written is another StoreError, and may pass.
    """


@dataclass(frozen=True, slots=True)
class Hold:
    """A run as it was taken over: commits of its batches compare the epoch, which only grows.

    `owner` names the program that has it. All its batches up to the number `watermark` are counted,
    and have no entries of their own in the ledger (0: it has no numbers, or none are). To move the
    watermark, a commit is given a hold with a higher one, and in `settled` the entries that go.
    """

    run: str
    epoch: int
    owner: str
    watermark: int = 0
    settled: tuple[BatchId, ...] = ()


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication and the number of its articles."""

    key: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Word:
    """A word of one publication: how often it occurred, in total and by label.

    `spelling` says how it is written there, see `spelling_of`. Where several words are counted as
    one, `aliases` are those that occur there, most frequent first; empty: it is just this one.
    """

    word: str
    count: int
    labels: dict[str, int]
    spelling: int = 0
    aliases: tuple[Word, ...] = ()

    @property
    def name(self) -> str:
        """The word as it is written, where it was met first."""
        return spelled(self.word, self.spelling)

    def under(self, label: str) -> Word | None:
        """The word as counted under one label; None if it was never counted under it."""
        count = self.labels.get(label)
        return replace(self, count=count, labels={label: count}) if count else None

    def to_json(self) -> dict[str, object]:
        """The word as a JSON object; the words counted as it are there if it has aliases."""
        value = {"word": self.word, "name": self.name, "count": self.count, "labels": self.labels}
        return {**value, **self.aliases_json()}

    def aliases_json(self) -> dict[str, object]:
        """The field of a JSON object that has the aliases, if there are any."""
        return {"aliases": [each.word for each in self.aliases]} if self.aliases else {}


Months = dict[int, int]
"""A count for each month, by its number, see `daskingest.months`."""

WordRow = tuple[str, str, str, int, int]
"""(publication name, word, label, count, spelling of the word)"""


class ReadableStore(Protocol):
    """The counts, to be read.

    Not bound to a thread until first used; from then on to be used by one thread at a time.
    Raises StoreError if it cannot be read.
    """

    billed: bool
    """Whether reads and writes are billed."""

    def counted_as(self, word: str) -> str:
        """The word that a word is counted as: itself, unless it is an alias."""

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

    def matches(self, word: str, text: str) -> bool:
        """Whether `search` finds a word by a text."""

    def find_words(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Word]:
        """Those of these (publication key, word) pairs that occur.

        A word that is counted as another one is found as that.
        """

    def all_words(self, publication: str | None = None) -> Iterator[WordRow]:
        """Every word under every label, by publication key, word and label.

        Of all publications, or of the one with this key.
        """

    def article_months(self, publication: str | None = None) -> dict[str, Months]:
        """The articles by month, of those that have a date, by publication key.

        Of all publications, or of the one with this key.
        """

    def word_months(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Months]:
        """The mentions by month, in articles that have a date, of (publication key, word) pairs."""

    def all_months(self, publication: str) -> Iterator[tuple[str, Months]]:
        """Each word of a publication that is in articles with a date, by word, and its months."""

    def close(self) -> None:
        """Release the store's resources. A closed store opens itself when it is used again."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Store(ReadableStore, Protocol):
    """The counts, and the ledger of the batches that they contain.

    Raises StoreError if it cannot be read or written.
    """

    commit_size: int
    """How many counters (see `PackedCounts.size`) a commit should have at most."""

    def take_over(self, run: str, owner: str) -> Hold:
        """Hold a run: from now on the commits of whoever held it before are refused.

        To be called before the run's ledger is read.
        """

    def hold(self, run: str) -> Hold | None:
        """How a run is held now; None: nobody has ever taken it over."""

    def commit(
        self, counts: PackedCounts, entries: Mapping[BatchId, Entry], holds: Collection[Hold] = ()
    ) -> int:
        """Add the counts and the ledger entries, by batch id: all of it, durably, or nothing.

        `holds` are of all runs that another could take over. Their epochs are compared, and their
        watermarks moved, in the same transaction.

        Returns how many rows or documents that wrote. Raises, having written nothing: Replaced when
        another has taken over one of the runs, AlreadyCommitted when the ledger has one of the ids,
        TooLarge when it is too much for one commit, and Invalid when there is something in it that
        the store does not take.
        """

    def ledger(self, run: str) -> Ledger:
        """All ledger entries of a run."""

    def ledger_entries(self, batch_ids: Collection[BatchId]) -> Ledger:
        """Those of these ledger entries that exist."""

    def begun(self) -> dict[str, Begun]:
        """The runs of files that were begun."""

    def finished(self) -> dict[str, Done]:
        """The runs that are done, with their entries."""

    def forget(self, batch_ids: Collection[BatchId], hold: Hold) -> None:
        """Remove the ledger's entries of these batches of a run, and of their parts.

        Only of batches that will never be committed again: the ledger no longer tells. Raises
        Replaced when another has taken over the run.
        """

    def forecast(self, size: int) -> str:
        """A sentence on what counting so many bytes of CSV will cost; empty if it costs nothing."""


def open_store(
    url: str = DEFAULT_STORE,
    create: bool = False,
    say: Callable[[str], None] = log.info,
    writers: int = 1,
) -> Store:
    """The store at a URL: `sqlite:///PATH`, with a fourth slash for an absolute path,
    `firestore://PROJECT[/DATABASE]`, or `postgresql://…`, any that libpq takes.

    With `create` it can be written: it is made if there is none, and one of an earlier version is
    brought to this one's layout, which may take a minute; `say` is told so. It is one of so many
    `writers` at work, which share the rate that the store allows.

    Raises UsageError if this is not the URL of a store, and StoreError if there is no store (unless
    `create`) or it cannot be used.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from daskingest.stores.sqlite import SqliteStore

        store = SqliteStore(rest[1:], create, say)
        store.check()
        return store
    if url.startswith(POSTGRESQL):
        return _postgresql(url, create)
    project, _, database = rest.partition("/")
    if scheme == "firestore" and project and "/" not in database:
        from daskingest.stores.firestore import FirestoreStore

        firestore = FirestoreStore(project, database or None, create, writers)
        firestore.check()
        return firestore
    hint = " (three slashes)" if scheme == "sqlite" and separator else ""
    raise UsageError(
        f"no such store: expected sqlite:///PATH{hint}, firestore://PROJECT[/DATABASE] or "
        f"postgresql://USER@HOST/DATABASE, found {shown_url(url)!r}"
    )


def _postgresql(url: str, create: bool) -> Store:
    try:
        from daskingest.stores.postgresql import PostgresqlStore
    except ImportError as error:
        raise StoreError(
            f"stores in PostgreSQL need psycopg, which cannot be loaded here ({error}): "
            "`pip install 'psycopg[binary]'`"
        ) from None
    store = PostgresqlStore(url, create)
    store.check()
    return store


def absolute_url(url: str) -> str:
    """The URL with an absolute path: the same store from any working directory."""
    prefix = "sqlite:///"
    return (
        prefix + str(Path(url.removeprefix(prefix)).absolute()) if url.startswith(prefix) else url
    )
