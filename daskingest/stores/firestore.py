"""The store in Cloud Firestore; `firestore_layout` describes its documents."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Self

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from daskingest.errors import StoreError
from daskingest.grouping import grouped
from daskingest.ledger import BatchId, Begun, Done, Entry, Ledger
from daskingest.packed import PackedCounts
from daskingest.stores import (
    AlreadyCommitted,
    Hold,
    Invalid,
    Months,
    Publication,
    TooLarge,
    Word,
    WordRow,
)
from daskingest.stores.emulator import emulator
from daskingest.stores.firestore_commit import CommitBuilder, increments_in_maps
from daskingest.stores.firestore_documents import Snapshot, read, seen
from daskingest.stores.firestore_errors import (
    CHECK_RETRY,
    READ_SECONDS,
    RETRY,
    advice,
    says_too_large,
)
from daskingest.stores.firestore_holds import held, looks_at_times, refused, take_over
from daskingest.stores.firestore_layout import (
    LEDGER,
    PUBLICATIONS,
    WORDS,
    Changed,
    commit_bytes,
    document_id,
    entry_id,
    ledger_of,
    months_in,
    publication_of,
    word_of,
)
from daskingest.stores.firestore_lookups import IN, Lookup, beginning_with, in_order
from daskingest.stores.price_list import FREE_WRITES_A_DAY, WRITES_PER_MB
from daskingest.stores.write_rate import WriteRate

_MAX_BYTES = 9 << 20  # of a commit; Firestore accepts 10 MiB
_PAGE = 5_000
_ATTEMPT_SECONDS = 60.0  # the deadline that a request carries


class FirestoreStore:
    """See `daskingest.stores.Store`. Connects when first used, in the process that uses it."""

    billed = True

    def __init__(
        self, project: str, database: str | None = None, create: bool = False, writers: int = 1
    ) -> None:
        self.commit_size = 50_000
        self._project = project
        self._database = database
        self._create = create
        self._client: firestore.Client | None = None
        self._builder = CommitBuilder()
        self._rate = WriteRate(enabled=not emulator(), writers=writers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def check(self) -> None:
        """Raise StoreError if the database can't be read or, with `create`, can't be written."""
        with self._working("read"):
            list(self._db().collection(LEDGER).limit(1).stream(retry=CHECK_RETRY, timeout=10.0))
        if self._create:
            with self._working("write to"):
                nothing = self._db().collection(LEDGER).document("none")
                if emulator():
                    self._builder.whole_maps = not increments_in_maps(nothing)
                    self._builder.fence.by_time = looks_at_times(nothing, self._db())
                nothing.delete(retry=CHECK_RETRY, timeout=10.0)
        self.close()

    def take_over(self, run: str, owner: str) -> Hold:
        """See `Store.take_over`."""
        with self._working("write to"):
            return take_over(self._db(), run, owner, _ATTEMPT_SECONDS)

    def hold(self, run: str) -> Hold | None:
        """See `Store.hold`."""
        with self._working("read"):
            return held(self._db(), run)[0]

    def commit(
        self, counts: PackedCounts, entries: Mapping[BatchId, Entry], holds: Collection[Hold] = ()
    ) -> int:
        """See `Store.commit`. The name of a publication is written with its first commit."""
        with self._encoding():
            size = commit_bytes(counts, entries, self._root)
        if size > _MAX_BYTES:
            raise self._too_large(entries, int(0.95 * counts.size * _MAX_BYTES / size))
        if self._builder.whole_maps and self.ledger_entries(list(entries)):
            raise AlreadyCommitted  # such an emulator would write what precedes the known entry
        with self._working("write to"):
            try:
                writes = self._written(counts, entries, holds)
            except exceptions.AlreadyExists:
                raise AlreadyCommitted from None
            except exceptions.FailedPrecondition:
                if self.ledger_entries(list(entries)):
                    raise AlreadyCommitted from None
                writes = self._written(counts, entries, holds)  # it was one without entries
            except exceptions.RetryError as error:
                if isinstance(error.cause, exceptions.DeadlineExceeded) and len(entries) > 1:
                    raise TooLarge from error  # perhaps: smaller ones are faster
                raise
            except (exceptions.InvalidArgument, exceptions.ResourceExhausted) as error:
                if says_too_large(error):
                    raise self._too_large(entries, counts.size // 2) from error
                if isinstance(error, exceptions.InvalidArgument):
                    told = advice(error, self._project)
                    raise Invalid(f"{self._name} refuses it: {told}") from error
                raise
        self._builder.committed(counts)
        return writes

    def _written(
        self,
        counts: PackedCounts,
        entries: Mapping[BatchId, Entry],
        holds: Collection[Hold],
        forgotten: Collection[BatchId] = (),
    ) -> int:
        """Commit; returns the number of writes. Raises the client's errors, and Replaced.

        FailedPrecondition says that an earlier one went through that was not known to have.
        """
        fence = self._builder.fence
        try:
            with self._encoding():
                batch = self._builder.build(self._db(), counts, entries, holds)
            for batch_id in forgotten:
                batch.delete(self._entry(batch_id))
            self._rate.wait(len(batch))
            fence.wrote(holds, batch.commit(retry=RETRY, timeout=_ATTEMPT_SECONDS))
        except BaseException as error:
            fence.unknown(holds)
            if isinstance(error, exceptions.NotFound):
                raise refused(self._db(), holds, error) from None
            raise
        return len(batch)

    def ledger(self, run: str) -> Ledger:
        """See `Store.ledger`."""
        return self._entries(FieldFilter("run", "==", run))

    def ledger_entries(self, batch_ids: Collection[BatchId]) -> Ledger:
        """See `Store.ledger_entries`."""
        found: Ledger = {}
        with self._working("read"):
            for some in grouped(batch_ids, lambda each: 1, _PAGE):
                documents = [self._entry(batch_id) for batch_id in some]
                answer = self._db().get_all(documents, retry=RETRY, timeout=READ_SECONDS)
                for snapshot in answer:
                    if snapshot.exists:
                        found |= read(ledger_of, snapshot)
        return found

    def begun(self) -> dict[str, Begun]:
        """See `Store.begun`."""
        found = self._entries(FieldFilter("entry", "==", "begin"))
        return {key.run: each for key, each in found.items() if isinstance(each, Begun)}

    def finished(self) -> dict[str, Done]:
        """See `Store.finished`."""
        found = self._entries(FieldFilter("entry", "==", "done"))
        return {key.run: each for key, each in found.items() if isinstance(each, Done)}

    def forget(self, batch_ids: Collection[BatchId], hold: Hold) -> None:
        """See `Store.forget`."""
        for some in grouped(batch_ids, lambda each: 1, IN):
            family = self._entries(FieldFilter("whole", "in", [str(batch_id) for batch_id in some]))
            if not family:
                continue
            with self._working("write to"):
                self._written(PackedCounts(), {}, [hold], family)

    def counted_as(self, word: str) -> str:
        """See `Store.counted_as`."""
        return word

    def publications(self) -> list[Publication]:
        """See `Store.publications`."""
        with self._working("read"):
            documents = list(self._db().collection(PUBLICATIONS).stream(retry=RETRY))
            found = [read(partial(publication_of, each.id), each) for each in documents]
        return sorted(filter(None, found), key=lambda each: (-each.count, each.key))

    def publication(self, key: str) -> Publication | None:
        """See `Store.publication`."""
        with self._working("read"):
            [found] = self._db().get_all([self._publication(key)], retry=RETRY)
            return read(partial(publication_of, found.id), found)

    def words(
        self,
        publication: str,
        limit: int,
        after: tuple[int, str] | None = None,
        label: str | None = None,
    ) -> list[Word]:
        """See `Store.words`. Needs the composite indexes in cluster/firestore.indexes.json."""
        found: list[Word] = []
        with self._working("read"):
            for query in in_order(self._db(), self._words(publication), after, label):
                left = limit - len(found)
                for each in query.limit(left).stream(retry=RETRY) if left else ():
                    found += seen(read(word_of, each), label)
        return found

    def search(
        self, publication: str, text: str, limit: int, label: str | None = None
    ) -> list[Word]:
        """See `Store.search`. Looks only at the first 5,000 in alphabetical order."""
        found: list[Word] = []
        with self._working("read"):
            query = beginning_with(self._words(publication), text).limit(_PAGE)
            for each in query.stream(retry=RETRY):
                found += seen(read(word_of, each), label)
        return sorted(found, key=lambda each: (-each.count, each.word))[:limit]

    def matches(self, word: str, text: str) -> bool:
        """See `Store.matches`."""
        return word.startswith(text)

    def find_words(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Word]:
        """See `Store.find_words`."""
        with self._working("read"):
            return {pair: read(word_of, each) for pair, each in self._found(words)}

    def _found(
        self, words: Collection[tuple[str, str]]
    ) -> Iterator[tuple[tuple[str, str], Snapshot]]:
        return Lookup(self._db(), self._words)(words)

    def all_words(self, publication: str | None = None) -> Iterator[WordRow]:
        """See `Store.all_words`. Reads every document once."""
        if publication is None:
            every = sorted(self.publications(), key=lambda each: each.key)
        else:
            every = [found] if (found := self.publication(publication)) else []
        for each in every:
            yield from self._every_word(each)

    def _every_word(self, publication: Publication) -> Iterator[WordRow]:
        for snapshot in self._every(publication.key):
            with self._working("read"):
                each = read(word_of, snapshot)
            for label, count in each.labels.items():
                yield publication.name, each.word, label, count, each.spelling

    def _every(self, publication: str) -> Iterator[Snapshot]:
        query = page = self._words(publication).order_by("word").limit(_PAGE)
        while True:
            with self._working("read"):
                found = list(page.stream(retry=RETRY))
                last = read(word_of, found[-1]).word if found else ""
            yield from found
            if len(found) < _PAGE:
                break
            page = query.where(filter=FieldFilter("word", ">", last))

    def article_months(self, publication: str | None = None) -> dict[str, Months]:
        """See `Store.article_months`."""
        with self._working("read"):
            found: Iterable[Snapshot] = (
                self._db().collection(PUBLICATIONS).stream(retry=RETRY)
                if publication is None
                else self._db().get_all([self._publication(publication)], retry=RETRY)
            )
            by_key = {
                its.key: read(months_in, each)
                for each in found
                if each.exists and (its := read(partial(publication_of, each.id), each))
            }
        return {key: months for key, months in by_key.items() if months}

    def word_months(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Months]:
        """See `Store.word_months`."""
        found: dict[tuple[str, str], Months] = {}
        with self._working("read"):
            for pair, snapshot in self._found(words):
                if months := read(months_in, snapshot):
                    found[pair] = months
        return found

    def all_months(self, publication: str) -> Iterator[tuple[str, Months]]:
        """See `Store.all_months`."""
        for each in self._every(publication):
            with self._working("read"):
                word, months = read(word_of, each).word, read(months_in, each)
            if months:
                yield word, months

    def forecast(self, size: int) -> str:
        """See `Store.forecast`."""
        writes = max(1, round(size / 1e6 * WRITES_PER_MB, -3))
        quota = "more than" if writes > FREE_WRITES_A_DAY else "within"
        return (
            f"expecting about {writes:,.0f} writes to Firestore, {quota} the free "
            f"{FREE_WRITES_A_DAY:,} a day; a longer --flush-interval means fewer"
        )

    def close(self) -> None:
        """See `Store.close`."""
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    def _db(self) -> firestore.Client:
        if self._client is None:
            self._client = firestore.Client(project=self._project, database=self._database)
        return self._client

    def _entry(self, batch_id: BatchId) -> firestore.DocumentReference:
        return self._db().collection(LEDGER).document(entry_id(batch_id))

    def _entries(self, condition: FieldFilter) -> Ledger:
        found: Ledger = {}
        with self._working("read"):
            query = self._db().collection(LEDGER).where(filter=condition)
            for snapshot in query.stream(retry=RETRY):
                found |= read(ledger_of, snapshot)
        return found

    def _publication(self, key: str) -> firestore.DocumentReference:
        return self._db().collection(PUBLICATIONS).document(document_id(key))

    def _words(self, publication: str) -> firestore.CollectionReference:
        found: firestore.CollectionReference = self._publication(publication).collection(WORDS)
        return found

    def _too_large(self, entries: Mapping[BatchId, Entry], fits: int) -> TooLarge:
        """The error to raise. If the commit had several batches, later ones have what fits."""
        if len(entries) > 1:
            self.commit_size = max(1_000, min(self.commit_size, fits))
        return TooLarge()

    @contextmanager
    def _encoding(self) -> Iterator[None]:
        """What cannot be made a request is invalid."""
        try:
            yield
        except (ValueError, TypeError) as error:
            raise Invalid(f"{self._name} refuses it: {error}") from error

    @contextmanager
    def _working(self, doing: str) -> Iterator[None]:
        """Turn the client's errors into StoreErrors that say what to do."""
        try:
            yield
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            told = advice(error, self._project)
            raise StoreError(f"cannot {doing} {self._name}: {told}") from error
        except Changed as error:
            raise StoreError(
                f"{self._name} was changed by somebody: {error}; repair it there"
            ) from error

    @property
    def _root(self) -> int:
        """The length of what all documents' names begin with."""
        database = self._database or "(default)"
        return len(f"projects/{self._db().project}/databases/{database}/documents/")

    @property
    def _name(self) -> str:
        database = f"/{self._database}" if self._database else ""
        emulated = f" in the emulator at {address}" if (address := emulator()) else ""
        return f"firestore://{self._project}{database}{emulated}"
