"""Counts in Cloud Firestore, laid out as older readers of this data expect it.

- `publications/{id}`: `name`, `count` (articles); `{id}` is the publication's key, see
  `document_id`. An id that had to be shortened has the whole key in `key`.
- `publications/{id}/ent/{hash}`: `word`, `count`, `labels` (a map of label to count); `{hash}` is a
  digest of the word.
- `ledger/{hash}`: a batch id in two fields, `run` and `entry`, with its `note`, as JSON; `whole` is
  the batch's id without its parts. `{hash}` is a digest of the batch id: ids that follow each other
  would all be written to one place of the database.

Counts are added by increments that the server applies, without reading, in the commit that creates
the ledger's documents. So a commit that was applied although its answer got lost is refused the
next time, whole.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, Self, TypeVar

from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from daskingest.counts import Counts
from daskingest.errors import StoreError
from daskingest.ledger import BatchId, Done, Entry, Ledger, entry_from_json, entry_to_json
from daskingest.stores import AlreadyCommitted, Publication, TooLarge, Word
from daskingest.stores.pace import Pace

FREE_WRITES_A_DAY = 20_000
_WRITES_PER_MB = 4_000
"""Of a CSV of news; 4,165 were measured with 20,087 articles in ten commits."""

_MOST_BYTES = 9 << 20  # of a commit; Firestore takes 10 MiB
_MOST_ID = 1_500  # bytes of a document's id
_PAGE = 5_000
_IN = 30  # values that one query can ask for
_EMULATOR = "FIRESTORE_EMULATOR_HOST"
_INDEXES = "cluster/firestore.indexes.json"

_TRANSIENT = (
    exceptions.Aborted,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.TooManyRequests,
)


def _passes(error: Exception) -> bool:
    return isinstance(error, _TRANSIENT) and not _says_too_large(error)


_RETRY = Retry(predicate=_passes, initial=0.5, maximum=8.0, multiplier=2.0, timeout=20.0)
"""With jitter. What lasts longer the saver tells of, and tries again."""

_CHECK = Retry(predicate=_passes, initial=0.5, maximum=2.0, multiplier=2.0, timeout=10.0)
_ATTEMPT_SECONDS = 60.0  # the deadline that a request carries
_SETTLED_SECONDS = _ATTEMPT_SECONDS + 30.0  # and some for clocks


def document_id(key: str) -> str:
    """The id of a publication's document.

    It is the key, with what Firestore forbids or reserves percent-encoded: every slash, and the
    dots or the first underscore of `.`, `..` and `__x__`. Keys have no capital letters, so that
    nothing else reads like an encoded character. Too long a key is cut and ends in its digest.
    """
    if key in (".", ".."):
        return key.replace(".", "%2E")
    encoded = key.replace("/", "%2F")
    if key.startswith("__") and key.endswith("__"):
        encoded = "%5F" + encoded[1:]
    if len(encoded.encode()) <= _MOST_ID:
        return encoded
    start = encoded.encode()[: _MOST_ID - 65].decode(errors="ignore")
    return f"{start}~{hashlib.sha256(key.encode()).hexdigest()}"


def word_id(word: str) -> str:
    """The id of a word's document: the same everywhere and for ever."""
    return hashlib.sha256(word.encode()).hexdigest()[:32]


T = TypeVar("T")


class FirestoreStore:
    """See `daskingest.stores.Store`. Connects at first use, in the process that uses it."""

    billed = True

    def __init__(self, project: str, database: str | None = None, create: bool = False) -> None:
        self.commit_size = 40_000
        self.settled_after = _SETTLED_SECONDS
        self._project = project
        self._database = database
        self._create = create
        self._client: firestore.Client | None = None
        self._known: set[str] = set()  # ids of publications that have a name
        self._whole_maps = False  # an emulator can't increment inside a map: it is read and set
        self._pace = Pace(enabled=_EMULATOR not in os.environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def check(self) -> None:
        """Raise StoreError if the database can't be read or, to count into it, not be written."""
        with self._working("read"):
            list(self._db().collection("ledger").limit(1).stream(retry=_CHECK, timeout=10.0))
        if self._create:
            with self._working("write to"):
                nothing = self._db().collection("ledger").document("none")
                if _EMULATOR in os.environ:
                    self._whole_maps = not _increments_in_maps(nothing)
                nothing.delete(retry=_CHECK, timeout=10.0)
        self.close()

    def commit(self, counts: Counts, entries: Mapping[BatchId, Entry]) -> int:
        """See `Store.commit`. The name of a publication is written with its first commit."""
        if _size(counts, entries) > _MOST_BYTES:
            raise self._too_large(entries)
        if self._whole_maps and self.ledger_entries(list(entries)):
            raise AlreadyCommitted  # such an emulator would write what comes before the one it has
        with self._working("write to"):
            batch = self._db().batch()
            new = self._fill(batch, counts, entries)
            writes = len(batch)
            self._pace.wait(writes)
            try:
                batch.commit(retry=_RETRY, timeout=_ATTEMPT_SECONDS)
            except exceptions.AlreadyExists:
                raise AlreadyCommitted from None
            except exceptions.RetryError as error:
                if isinstance(error.cause, exceptions.DeadlineExceeded) and len(entries) > 1:
                    raise TooLarge from error  # perhaps: smaller ones are quicker
                raise
            except (exceptions.InvalidArgument, exceptions.ResourceExhausted) as error:
                if _says_too_large(error):
                    raise self._too_large(entries) from error
                raise
        self._known |= new
        return writes

    def _fill(
        self, batch: firestore.WriteBatch, counts: Counts, entries: Mapping[BatchId, Entry]
    ) -> set[str]:
        """Put a commit's writes into `batch`, the ledger's first; the publications that are new."""
        for batch_id, entry in sorted(entries.items(), key=lambda item: item[0]):
            batch.create(self._entry(batch_id), _ledger_fields(batch_id, entry))
        ids = {key: document_id(key) for key in counts.publications}
        new = self._without_name(ids.values())
        for key, each in sorted(counts.publications.items()):
            publication = self._publication(key)
            fields: dict[str, Any] = {"count": firestore.Increment(each.articles)}
            if ids[key] in new:
                fields["name"] = each.name
                if _key_of(ids[key], {}) != key:
                    fields["key"] = key
            batch.set(publication, fields, merge=True)
            words: dict[str, dict[str, int]] = {}
            for (word, label), count in each.words.items():
                words.setdefault(word, {})[label] = count
            entities = publication.collection("ent")
            before = self._labels(entities, words) if self._whole_maps else None
            for word, labels in words.items():
                document = entities.document(word_id(word))
                fields = {
                    "word": word,
                    "count": firestore.Increment(sum(labels.values())),
                    "labels": {label: firestore.Increment(n) for label, n in labels.items()},
                }
                merge: Any = True
                if before is not None:
                    fields["labels"] = dict(Counter(labels) + Counter(before.get(document.id, {})))
                    merge = list(fields)
                batch.set(document, fields, merge=merge)
        return new

    def ledger(self, run: str) -> Ledger:
        """See `Store.ledger`."""
        return self._entries(FieldFilter("run", "==", run))

    def ledger_entries(self, batch_ids: Collection[BatchId]) -> Ledger:
        """See `Store.ledger_entries`."""
        found: Ledger = {}
        with self._working("read"):
            for some in _batched(batch_ids, _PAGE):
                documents = [self._entry(batch_id) for batch_id in some]
                for snapshot in self._db().get_all(documents, retry=_RETRY):
                    if snapshot.exists:
                        found |= _ledger_entry(snapshot)
        return found

    def finished(self) -> dict[str, Done]:
        """See `Store.finished`."""
        found = self._entries(FieldFilter("entry", "==", "done"))
        return {key.run: each for key, each in found.items() if isinstance(each, Done)}

    def forget(self, batch_ids: Collection[BatchId]) -> None:
        """See `Store.forget`."""
        for some in _batched(batch_ids, _IN):
            family = self._entries(FieldFilter("whole", "in", [str(batch_id) for batch_id in some]))
            if not family:
                continue
            with self._working("write to"):
                batch = self._db().batch()
                for batch_id in family:
                    batch.delete(self._entry(batch_id))
                self._pace.wait(len(family))
                batch.commit(retry=_RETRY, timeout=_ATTEMPT_SECONDS)

    def publications(self) -> list[Publication]:
        """See `Store.publications`."""
        with self._working("read"):
            found = [
                Publication(_key_of(each.id, fields), fields.get("name", each.id), fields["count"])
                for each in self._db().collection("publications").stream(retry=_RETRY)
                if "count" in (fields := each.to_dict() or {})
            ]
        return sorted(found, key=lambda each: (-each.count, each.key))

    def publication(self, key: str) -> Publication | None:
        """See `Store.publication`."""
        with self._working("read"):
            found = list(self._db().get_all([self._publication(key)], retry=_RETRY))
        fields = found[0].to_dict() or {}
        return Publication(key, fields.get("name", key), fields["count"]) if fields else None

    def words(
        self,
        publication: str,
        limit: int,
        after: tuple[int, str] | None = None,
        label: str | None = None,
    ) -> list[Word]:
        """See `Store.words`. Needs the composite indexes in cluster/firestore.indexes.json."""
        field = "count" if label is None else self._db().field_path("labels", label)
        ordered = self._entities(publication).order_by(field, direction="DESCENDING")
        if after is None:
            pages = [ordered.where(filter=FieldFilter(field, ">", 0)).order_by("word")]
        else:
            same = self._entities(publication).where(filter=FieldFilter(field, "==", after[0]))
            less = ordered.where(filter=FieldFilter(field, "<", after[0]))
            pages = [
                same.where(filter=FieldFilter("word", ">", after[1])).order_by("word"),
                less.order_by("word"),
            ]
        found: list[Word] = []
        with self._working("read"):
            for page in pages:
                left = limit - len(found)
                for each in page.limit(left).stream(retry=_RETRY) if left else ():
                    fields = each.to_dict()
                    labels = fields.get("labels", {})
                    count = fields["count"] if label is None else labels[label]
                    shown = labels if label is None else {label: count}
                    found.append(Word(fields["word"], count, dict(sorted(shown.items()))))
        return found

    def search(
        self, publication: str, text: str, limit: int, label: str | None = None
    ) -> list[Word]:
        """See `Store.search`. Looks at the first 1,000 by the alphabet, no more."""
        beginning = (
            self._entities(publication)
            .where(filter=FieldFilter("word", ">=", text))
            .where(filter=FieldFilter("word", "<", text + chr(0x10FFFF)))
            .order_by("word")
            .limit(_PAGE)
        )
        found = []
        with self._working("read"):
            for each in beginning.stream(retry=_RETRY):
                word = _word_of(each.to_dict())
                if label is None:
                    found.append(word)
                elif count := word.labels.get(label):
                    found.append(Word(word.word, count, {label: count}))
        return sorted(found, key=lambda each: (-each.count, each.word))[:limit]

    def find_words(self, words: Collection[tuple[str, str]]) -> dict[tuple[str, str], Word]:
        """See `Store.find_words`."""
        found: dict[tuple[str, str], Word] = {}
        with self._working("read"):
            for some in _batched(words, _PAGE):
                wanted = {
                    self._entities(key).document(word_id(word)): (key, word) for key, word in some
                }
                places = {document.path: pair for document, pair in wanted.items()}
                for snapshot in self._db().get_all(list(wanted), retry=_RETRY):
                    if snapshot.exists:
                        found[places[snapshot.reference.path]] = _word_of(snapshot.to_dict() or {})
        return found

    def all_words(self, publication: str | None = None) -> Iterator[tuple[str, str, str, int]]:
        """See `Store.all_words`. Reads every document once."""
        if publication is None:
            every = sorted(self.publications(), key=lambda each: each.key)
        else:
            every = [found] if (found := self.publication(publication)) else []
        for each in every:
            yield from self._words_of(each)

    def _words_of(self, publication: Publication) -> Iterator[tuple[str, str, str, int]]:
        query = self._entities(publication.key).order_by("word").limit(_PAGE)
        last: str | None = None
        while True:
            page = query
            if last is not None:
                page = query.where(filter=FieldFilter("word", ">", last))
            with self._working("read"):
                fields = [each.to_dict() for each in page.stream(retry=_RETRY)]
            for each in fields:
                for label, count in sorted(each.get("labels", {}).items()):
                    yield publication.name, each["word"], label, count
            if len(fields) < _PAGE:
                break
            last = fields[-1]["word"]

    def forecast(self, size: int) -> str:
        """See `Store.forecast`."""
        writes = max(1, round(size / 1e6 * _WRITES_PER_MB, -3))
        quota = "more than" if writes > FREE_WRITES_A_DAY else "within"
        return (
            f"expecting about {writes:,.0f} writes to Firestore, {quota} the free "
            f"{FREE_WRITES_A_DAY:,} a day; a longer --flush-interval makes fewer"
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

    def _entry(self, batch_id: BatchId) -> Any:
        digest = hashlib.sha256(str(batch_id).encode()).hexdigest()
        return self._db().collection("ledger").document(digest)

    def _entries(self, condition: FieldFilter) -> Ledger:
        found: Ledger = {}
        with self._working("read"):
            query = self._db().collection("ledger").where(filter=condition)
            for snapshot in query.stream(retry=_RETRY):
                found |= _ledger_entry(snapshot)
        return found

    def _publication(self, key: str) -> Any:
        return self._db().collection("publications").document(document_id(key))

    def _entities(self, key: str) -> Any:
        return self._publication(key).collection("ent")

    def _without_name(self, ids: Collection[str]) -> set[str]:
        """Those of the publications' documents that aren't there yet."""
        unknown = sorted(set(ids) - self._known)
        documents = [self._db().collection("publications").document(each) for each in unknown]
        found = self._db().get_all(documents, field_paths=["name"], retry=_RETRY)
        named = {each.id for each in found if each.exists and each.get("name")}
        self._known |= named
        return set(unknown) - named

    def _labels(self, entities: Any, words: Collection[str]) -> dict[str, dict[str, int]]:
        """The counts by label that words' documents have, by id."""
        documents = [entities.document(word_id(word)) for word in words]
        found = self._db().get_all(documents, retry=_RETRY)
        return {each.id: each.get("labels") for each in found if each.exists}

    def _too_large(self, entries: Mapping[BatchId, Entry]) -> TooLarge:
        """From now on fewer batches go into a commit, if it was several that were too large."""
        if len(entries) > 1:
            self.commit_size = max(1_000, self.commit_size // 2)
        return TooLarge()

    @contextmanager
    def _working(self, doing: str) -> Iterator[None]:
        """Turn the client's errors into StoreErrors that say what to do."""
        try:
            yield
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise StoreError(f"cannot {doing} {self._name}: {self._advice(error)}") from error

    @property
    def _name(self) -> str:
        database = f"/{self._database}" if self._database else ""
        emulator = os.environ.get(_EMULATOR)
        return f"firestore://{self._project}{database}" + (
            f" in the emulator at {emulator}" if emulator else ""
        )

    def _advice(self, error: Exception) -> str:
        cause: BaseException = error
        if isinstance(error, exceptions.RetryError) and error.cause is not None:
            cause = error.cause
        text = str(getattr(cause, "message", "") or cause).strip().partition("\n")[0]
        if isinstance(cause, GoogleAuthError):
            return (
                "no credentials; run `gcloud auth application-default login`, or name a service "
                f"account's key file in GOOGLE_APPLICATION_CREDENTIALS ({text})"
            )
        if isinstance(cause, exceptions.PermissionDenied | exceptions.Unauthenticated):
            return (
                f"not allowed; give the account the role roles/datastore.user in the project "
                f"{self._project}, if that is the right one ({text})"
            )
        if isinstance(cause, exceptions.NotFound):
            return (
                "no such database; check the project's name, or create the database with "
                f"`gcloud firestore databases create --project {self._project}` ({text})"
            )
        if isinstance(cause, exceptions.FailedPrecondition):
            return (
                f"an index is missing; create those of {_INDEXES} with `firebase deploy --only "
                f"firestore:indexes` or as its README says ({text})"
            )
        return text


def _increments_in_maps(scratch: Any) -> bool:
    """Whether this emulator does, as Firestore and Google's own emulator do."""
    try:
        probe = {"labels": {"none": firestore.Increment(0)}}
        scratch.set(probe, merge=True, retry=_CHECK, timeout=10.0)
    except exceptions.Unknown:
        return False
    return True


def _ledger_fields(batch_id: BatchId, entry: Entry) -> dict[str, Any]:
    run, _, rest = str(batch_id).partition(":")
    return {"run": run, "entry": rest, "whole": str(batch_id.whole), "note": entry_to_json(entry)}


def _ledger_entry(document: Any) -> Ledger:
    fields = document.to_dict()
    batch_id = BatchId.parse(f"{fields['run']}:{fields['entry']}")
    return {batch_id: entry_from_json(batch_id, fields["note"])}


def _word_of(fields: Mapping[str, Any]) -> Word:
    return Word(fields["word"], fields["count"], dict(sorted(fields.get("labels", {}).items())))


def _key_of(document: str, fields: Mapping[str, Any]) -> str:
    """The key of the publication with that document id."""
    key: str = fields.get("key", "")
    return key or document.replace("%2F", "/").replace("%2E", ".").replace("%5F", "_")


def _size(counts: Counts, entries: Mapping[BatchId, Entry]) -> int:
    """A number of bytes that a commit's request does not pass, and comes near to."""
    size = sum(
        450 + 3 * len(str(key)) + 2 * len(entry_to_json(each)) for key, each in entries.items()
    )
    for key, each in counts.publications.items():
        path = 130 + len(document_id(key).encode())
        size += path + 100 + 2 * len(key.encode()) + len(each.name.encode())
        seen: set[str] = set()
        for word, label in each.words:
            if word not in seen:
                seen.add(word)
                size += path + len(word.encode()) + 60
            size += 2 * len(label.encode()) + 30
    return size


def _batched(items: Collection[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _says_too_large(error: Exception) -> bool:
    text = str(error).lower()
    return any(words in text for words in ("too big", "too large", "larger than max", "exceeds"))
