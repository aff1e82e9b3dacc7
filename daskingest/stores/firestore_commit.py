"""The writes of a commit to Firestore.

Counts are added by increments that the server applies, without reading first, in the same commit
that creates the ledger's documents. So a commit that was applied although its answer got lost is
refused as a whole the next time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from google.api_core import exceptions
from google.cloud import firestore

from daskingest.ledger import BatchId, Entry
from daskingest.packed import Counters, PackedCounts
from daskingest.spelling import spelled
from daskingest.stores import Hold
from daskingest.stores.firestore_errors import CHECK_RETRY, READ_SECONDS, RETRY
from daskingest.stores.firestore_layout import (
    LEDGER,
    PUBLICATIONS,
    RUNS,
    WORDS,
    document_id,
    entry_fields,
    entry_id,
    hold_id,
    is_number,
    key_fields,
    name_in,
    word_id,
)

log = logging.getLogger(__name__)


class CommitBuilder:
    """Builds the writes of commits. Remembers which publications have a name, written only once."""

    def __init__(self) -> None:
        self.whole_maps = False
        """Whether maps are read and then set: some emulators can't increment inside a map."""
        self._named: set[str] = set()  # ids of documents

    def build(
        self,
        db: firestore.Client,
        counts: PackedCounts,
        entries: Mapping[BatchId, Entry],
        holds: Collection[Hold] = (),
    ) -> firestore.WriteBatch:
        """A commit's writes: first those that refuse it, of the runs' epochs and of the ledger."""
        batch = db.batch()
        for hold in holds:
            document = db.collection(RUNS).document(hold_id(hold))
            batch.update(document, {"watermark": hold.watermark})  # fails if it is not there
        for batch_id, entry in sorted(entries.items(), key=lambda item: item[0]):
            document = db.collection(LEDGER).document(entry_id(batch_id))
            batch.create(document, entry_fields(batch_id, entry))
        for batch_id in (each for hold in holds for each in hold.settled):
            batch.delete(db.collection(LEDGER).document(entry_id(batch_id)))
        publications = db.collection(PUBLICATIONS)
        nameless, miscounted = self._look_up(db, _documents(counts))
        for each, words, _ in counts.by_publication():
            document = publications.document(document_id(each.key))
            fields: dict[str, Any] = {"count": firestore.Increment(each.articles)}
            if document.id in miscounted:
                fields["count"] = each.articles
            if document.id in nameless:
                fields |= {"name": each.name, **key_fields(each.key)}
            if each.articles or document.id in nameless | miscounted:
                batch.set(document, fields, merge=True)
            self._add_words(db, batch, document.collection(WORDS), words)
        return batch

    def committed(self, counts: PackedCounts) -> None:
        """Note that these counts are in the store, so their publications have names."""
        self._named.update(_documents(counts))

    def _add_words(
        self,
        db: firestore.Client,
        batch: firestore.WriteBatch,
        collection: firestore.CollectionReference,
        counts: Counters,
    ) -> None:
        words: dict[str, dict[str, int]] = {}
        names: dict[str, str] = {}
        for word, label, count, spelling in zip(*counts, strict=True):
            words.setdefault(word, {})[label] = count
            if spelling:
                names[word] = spelled(word, spelling)
        documents = {word: collection.document(word_id(word)) for word in words}
        before = _labels(db, documents.values()) if self.whole_maps else None
        for word, labels in words.items():
            document = documents[word]
            fields: dict[str, Any] = {
                "word": word,
                "count": firestore.Increment(sum(labels.values())),
                "labels": {label: firestore.Increment(n) for label, n in labels.items()},
            }
            if word in names:
                fields["name"] = names[word]
            if before is None:
                batch.set(document, fields, merge=True)
            else:
                fields["labels"] = dict(Counter(labels) + Counter(before.get(document.id, {})))
                batch.set(document, fields, merge=list(fields))

    def _look_up(self, db: firestore.Client, ids: Iterable[str]) -> tuple[set[str], set[str]]:
        """Those of the publications' documents that have no name yet, and those whose count is no
        number: somebody has changed them, and they are counted anew from here on.
        """
        unknown = sorted(set(ids) - self._named)
        documents = [db.collection(PUBLICATIONS).document(each) for each in unknown]
        nameless, miscounted = set(unknown), set[str]()
        if not documents:
            return nameless, miscounted
        found = db.get_all(
            documents, field_paths=["name", "count"], retry=RETRY, timeout=READ_SECONDS
        )
        for each in found:
            fields = each.to_dict() or {}
            count = fields.get("count", 0)
            if not is_number(count):
                log.warning(
                    "the document %s has the count %r, which is no number; counting from 0 again",
                    each.reference.path,
                    count,
                )
                miscounted.add(each.id)
            elif name_in(fields):
                nameless.discard(each.id)
        self._named |= set(unknown) - nameless
        return nameless, miscounted


def _documents(counts: PackedCounts) -> list[str]:
    return [document_id(each.key) for each in counts.publications]


def increments_in_maps(scratch: firestore.DocumentReference) -> bool:
    """Whether the emulator can increment inside a map, as Firestore can. Writes the document."""
    try:
        probe = {"labels": {"none": firestore.Increment(0)}}
        scratch.set(probe, merge=True, retry=CHECK_RETRY, timeout=10.0)
    except exceptions.Unknown:
        return False
    return True


def _labels(
    db: firestore.Client, documents: Collection[firestore.DocumentReference]
) -> dict[str, dict[str, int]]:
    """The counts by label in words' documents, by document id."""
    found = db.get_all(list(documents), retry=RETRY, timeout=READ_SECONDS)
    by_id = {each.id: (each.to_dict() or {}).get("labels") for each in found}
    return {key: labels for key, labels in by_id.items() if isinstance(labels, dict)}
