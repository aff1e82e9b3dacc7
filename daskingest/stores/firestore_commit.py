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
from uuid import uuid4

from google.api_core import exceptions
from google.cloud import firestore

from daskingest.ledger import BatchId, Entry
from daskingest.packed import Counters, PackedCounts
from daskingest.spelling import spelled
from daskingest.stores import Hold
from daskingest.stores.firestore_errors import CHECK_RETRY, READ_SECONDS, RETRY
from daskingest.stores.firestore_holds import Fence
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
    month_fields,
    name_in,
    word_id,
)

Fields = dict[str, dict[str, Any]]
"""The fields of documents, by their paths."""

log = logging.getLogger(__name__)


class CommitBuilder:
    """Builds the writes of commits. Remembers which publications have a name, written only once."""

    def __init__(self) -> None:
        self.whole_maps = False
        """Whether maps are read and then set: some emulators can't increment inside a map."""
        self.fence = Fence()
        self._named: set[str] = set()  # ids of documents

    def build(
        self,
        db: firestore.Client,
        counts: PackedCounts,
        entries: Mapping[BatchId, Entry],
        holds: Collection[Hold] = (),
    ) -> firestore.WriteBatch:
        """A commit's writes: first those that refuse it, of the runs' epochs and of the ledger.

        Raises NotFound if another has one of the runs.
        """
        batch = db.batch()
        for hold in holds:
            document = db.collection(RUNS).document(hold_id(hold))
            # A write that changes nothing would leave the document's time as it was.
            written = {"watermark": hold.watermark, "commit": uuid4().hex}
            batch.update(document, written, self.fence.option(db, hold))
        for batch_id, entry in sorted(entries.items(), key=lambda item: item[0]):
            document = db.collection(LEDGER).document(entry_id(batch_id))
            batch.create(document, entry_fields(batch_id, entry))
        for batch_id in (each for hold in holds for each in hold.settled):
            batch.delete(db.collection(LEDGER).document(entry_id(batch_id)))
        publications = db.collection(PUBLICATIONS)
        nameless, miscounted = self._look_up(db, _documents(counts))
        dated = [publications.document(document_id(p.key)) for p in counts.publications if p.months]
        before = self._before(db, dated)
        for each, words, months in counts.by_publication():
            document = publications.document(document_id(each.key))
            fields: dict[str, Any] = {"count": firestore.Increment(each.articles)}
            if document.id in miscounted:
                fields["count"] = each.articles
            if each.months:
                fields["months"] = month_fields(each.months)
            if document.id in nameless:
                fields |= {"name": each.name, **key_fields(each.key)}
            if each.articles or document.id in nameless | miscounted:
                _set(batch, document, fields, before)
            self._add_words(db, batch, document.collection(WORDS), words, months)
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
        by_month: Counters,
    ) -> None:
        labels, months = _by_word(counts), _by_word(by_month)
        names = dict(zip(counts.words, counts.spellings, strict=True))
        documents = {word: collection.document(word_id(word)) for word in [*labels, *months]}
        before = self._before(db, documents.values())
        for word, document in documents.items():
            fields: dict[str, Any] = {"word": word}
            if its := labels.get(word):
                fields |= {"count": firestore.Increment(sum(its.values())), "labels": its}
            if spelling := names.get(word):
                fields["name"] = spelled(word, spelling)
            if word in months:
                fields["months"] = month_fields(months[word])
            _set(batch, document, fields, before)

    def _before(
        self, db: firestore.Client, documents: Collection[firestore.DocumentReference]
    ) -> Fields | None:
        """What is in documents, by their paths, if it must be known to write their maps."""
        if not self.whole_maps:
            return None
        found = db.get_all(list(documents), retry=RETRY, timeout=READ_SECONDS)
        return {each.reference.path: each.to_dict() or {} for each in found}

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


def _by_word(counts: Counters) -> dict[str, dict[Any, int]]:
    """Each word's counts by label, or by month."""
    found: dict[str, dict[Any, int]] = {}
    for word, kind, count in zip(*counts[:3], strict=True):
        found.setdefault(word, {})[kind] = count
    return found


def _set(
    batch: firestore.WriteBatch,
    document: firestore.DocumentReference,
    fields: dict[str, Any],
    before: Fields | None,
) -> None:
    """Write a document's fields; what is a map of counts is added to the one that is there."""
    maps = {name: its for name, its in fields.items() if isinstance(its, dict)}
    if before is None:
        for name, its in maps.items():
            fields[name] = {key: firestore.Increment(count) for key, count in its.items()}
        batch.set(document, fields, merge=True)
        return
    known = before.get(document.path, {})
    for name, its in maps.items():
        there = known.get(name)
        fields[name] = dict(Counter(its) + Counter(there if isinstance(there, dict) else {}))
    batch.set(document, fields, merge=list(fields))
