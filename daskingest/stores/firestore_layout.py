"""The documents in Cloud Firestore, in the layout that older readers of this data expect.

- `publications/{id}`: `name`, `count` (articles); `{id}` is the publication's key, see
  `document_id`. If the id had to be shortened, `key` has the whole key.
- `publications/{id}/ent/{hash}`: `word`, `count`, `labels` (a map of label to count); `{hash}` is a
  digest of the word.
- `ledger/{hash}`: a batch id in two fields, `run` and `entry`, and its entry as JSON in `note`;
  `whole` is the batch's id without its parts. `{hash}` is a digest of the batch id, because
  sequential document ids would make a hotspot in the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from daskingest.counts import Counts, PublicationCounts
from daskingest.ledger import BatchId, Entry, Ledger, entry_from_json, entry_to_json
from daskingest.stores import Publication, Word

PUBLICATIONS, WORDS, LEDGER = "publications", "ent", "ledger"
_MAX_ID = 1_500  # bytes of a document's id


def document_id(key: str) -> str:
    """The id of a publication's document.

    It is the key, with what Firestore forbids or reserves percent-encoded: every slash, and the
    dots or the first underscore of `.`, `..` and `__x__`. Keys have no capital letters, so nothing
    else looks like an encoded character. A key that is too long is cut, and its digest appended.
    """
    if key in (".", ".."):
        return key.replace(".", "%2E")
    encoded = key.replace("/", "%2F")
    if key.startswith("__") and key.endswith("__"):
        encoded = "%5F" + encoded[1:]
    if len(encoded.encode()) <= _MAX_ID:
        return encoded
    start = encoded.encode()[: _MAX_ID - 65].decode(errors="ignore")
    return f"{start}~{hashlib.sha256(key.encode()).hexdigest()}"


def word_id(word: str) -> str:
    """The id of a word's document: the same in every process, on every machine, always."""
    return hashlib.sha256(word.encode()).hexdigest()[:32]


def entry_id(batch_id: BatchId) -> str:
    """The id of a ledger entry's document."""
    return hashlib.sha256(str(batch_id).encode()).hexdigest()


def key_fields(key: str) -> dict[str, str]:
    """The extra field of a publication's document if its id doesn't give the key."""
    return {} if _decoded(document_id(key)) == key else {"key": key}


def publication_of(document: str, fields: Mapping[str, Any]) -> Publication | None:
    """The publication in a document; None if nothing was counted there."""
    if "count" not in fields:
        return None
    key = fields.get("key") or _decoded(document)
    return Publication(key, fields.get("name", key), fields["count"])


def word_of(fields: Mapping[str, Any]) -> Word:
    """The word in a document with these fields."""
    return Word(fields["word"], fields["count"], dict(sorted(fields.get("labels", {}).items())))


def entry_fields(batch_id: BatchId, entry: Entry) -> dict[str, str]:
    """The fields of a ledger entry's document."""
    run, _, rest = str(batch_id).partition(":")
    return {"run": run, "entry": rest, "whole": str(batch_id.whole), "note": entry_to_json(entry)}


def ledger_of(fields: Mapping[str, Any]) -> Ledger:
    """The one ledger entry in a document with these fields."""
    batch_id = BatchId.parse(f"{fields['run']}:{fields['entry']}")
    return {batch_id: entry_from_json(batch_id, fields["note"])}


def commit_bytes(counts: Counts, entries: Mapping[BatchId, Entry]) -> int:
    """An upper bound, and a close one, on the size in bytes of a commit's request."""
    size = sum(
        450 + 3 * len(str(key)) + 2 * len(entry_to_json(each)) for key, each in entries.items()
    )
    return size + sum(_publication_bytes(*each) for each in counts.publications.items())


def _publication_bytes(key: str, counts: PublicationCounts) -> int:
    path = 130 + len(document_id(key).encode())
    size = path + 100 + 2 * len(key.encode()) + len(counts.name.encode())
    seen: set[str] = set()
    for word, label in counts.words:
        if word not in seen:
            seen.add(word)
            size += path + len(word.encode()) + 60
        size += 2 * len(label.encode()) + 30
    return size


def _decoded(document: str) -> str:
    return document.replace("%2F", "/").replace("%2E", ".").replace("%5F", "_")
