"""The documents in Cloud Firestore, in the layout that older readers of this data expect.

- `publications/{id}`: `name`, `count` (articles), `months` (a map of `2016-06` to that month's
  articles, of those that have a date); `{id}` is the publication's key, see `document_id`. If the
  id had to be shortened, `key` has the whole key.
- `publications/{id}/ent/{hash}`: `word`, `count`, `labels` (a map of label to count), `months` (a
  map of month to count), `name` (the word as it is written, where that was met last); `{hash}` is a
  digest of the word.
- `ledger/{hash}`: a batch id in two fields, `run` and `entry`, with its `note`, as JSON; `whole` is
  the batch's id without its parts. `{hash}` is a digest of the batch id: ids that follow each other
  would all be written to one place of the database.
- `runs/{hash}-{epoch}`: how a run is held: `run`, `epoch`, `owner`, `watermark`, and a `token` of
  its own. Whoever takes a run over deletes the document of the epoch before in the commit that
  makes its own. Every commit writes it, on the condition that it exists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from daskingest.ledger import BatchId, Entry, Ledger, entry_to_json, read_ledger
from daskingest.months import month_named, month_text
from daskingest.packed import Counters, PackedCounts, PackedPublication
from daskingest.spelling import spelling_of
from daskingest.stores import Hold, Months, Publication, Word


class Changed(Exception):
    """A document's fields are not as they were written; says which, and what was seen."""


PUBLICATIONS, WORDS, LEDGER, RUNS = "publications", "ent", "ledger", "runs"
_MONTH_BYTES = 32  # of a request, for each
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


def hold_id(hold: Hold) -> str:
    """The id of the document of a run's epoch."""
    return f"{hashlib.sha256(hold.run.encode()).hexdigest()}-{hold.epoch}"


def held_of(fields: Mapping[str, Any]) -> tuple[Hold, str]:
    """The hold that has a document with these fields, and its token."""
    epoch, watermark = (_number(name, fields.get(name)) for name in ("epoch", "watermark"))
    run, owner = _text(fields, "run"), _text(fields, "owner")
    return Hold(run, epoch, owner, watermark), _text(fields, "token")


def key_fields(key: str) -> dict[str, str]:
    """The extra field of a publication's document if its id doesn't give the key."""
    return {} if _decoded(document_id(key)) == key else {"key": key}


def publication_of(document: str, fields: Mapping[str, Any]) -> Publication | None:
    """The publication that has a document; none if nothing was counted there.

    Raises Changed, as the others of these do.
    """
    if "count" not in fields:
        return None
    key = _text(fields, "key") if "key" in fields else _decoded(document)
    return Publication(key, name_in(fields) or key, _number("count", fields["count"]))


def name_in(fields: Mapping[str, Any]) -> str:
    """The name of a publication or a word; empty if it has none."""
    name = fields.get("name")
    return name if isinstance(name, str) else ""


def is_number(value: object) -> bool:
    """Whether a field can be counted up; a console may have made a float of a whole number."""
    whole = isinstance(value, float) and value.is_integer()
    return whole or (isinstance(value, int) and not isinstance(value, bool))


def labels_in(fields: Mapping[str, Any]) -> dict[str, int]:
    """A word's counts by label."""
    labels = fields.get("labels", {})
    if not isinstance(labels, dict):
        raise Changed(f"its `labels` are {labels!r}, expected a map")
    return {label: _number(f"labels.{label}", count) for label, count in sorted(labels.items())}


def month_fields(months: Mapping[int, int]) -> dict[str, int]:
    """The map of months in a document, by number."""
    return {month_text(month): count for month, count in months.items()}


def months_in(fields: Mapping[str, Any]) -> Months:
    """A word's, or a publication's, counts by month. What is no month is left out."""
    months = fields.get("months", {})
    if not isinstance(months, dict):
        raise Changed(f"its `months` are {months!r}, expected a map")
    numbers = ((month_named(name), name, count) for name, count in sorted(months.items()))
    return {
        month: _number(f"months.{name}", count)
        for month, name, count in numbers
        if month is not None
    }


def word_of(fields: Mapping[str, Any]) -> Word:
    """The word that has a document with these fields."""
    count, word = _number("count", fields.get("count")), _text(fields, "word")
    return Word(word, count, labels_in(fields), spelling_of(name_in(fields) or word, word))


def entry_fields(batch_id: BatchId, entry: Entry) -> dict[str, str]:
    """The fields of a ledger entry's document."""
    return {
        "run": batch_id.run,
        "entry": batch_id.within_run,
        "whole": str(batch_id.whole),
        "note": entry_to_json(entry),
    }


def ledger_of(fields: Mapping[str, Any]) -> Ledger:
    """The one entry that has a document with these fields."""
    run, entry, note = (_text(fields, name) for name in ("run", "entry", "note"))
    return read_ledger({f"{run}:{entry}": note})


def commit_bytes(counts: PackedCounts, entries: Mapping[BatchId, Entry], root: int) -> int:
    """An upper bound, and a close one, on the size in bytes of a commit's request.

    `root` is the length of what all documents' names begin with.
    """
    size = sum(
        450 + 3 * len(str(key)) + 2 * len(entry_to_json(each)) for key, each in entries.items()
    )
    return size + sum(
        _publication_bytes(each, words, months, root)
        for each, words, months in counts.by_publication()
    )


def _publication_bytes(
    publication: PackedPublication, words: Counters, months: Counters, root: int
) -> int:
    path = root + 50 + len(document_id(publication.key).encode())
    size = path + 150 + 2 * len(publication.key.encode()) + len(publication.name.encode())
    spelt = {word for word, bits in zip(words.words, words.spellings, strict=True) if bits}
    for word in {*words.words, *months.words}:
        length = len(word.encode())
        size += path + 60 + length
        if word in spelt:
            size += 22 + length * 3 // 2  # capitals may have more bytes
    size += sum(25 + 2 * len(label.encode()) for label in words.kinds)
    return size + _MONTH_BYTES * (len(publication.months) + len(months.words))


def _decoded(document: str) -> str:
    return document.replace("%2F", "/").replace("%2E", ".").replace("%5F", "_")


def _number(name: str, value: object) -> int:
    if not is_number(value):
        raise Changed(f"its `{name}` is {value!r}, expected a whole number")
    return int(value)  # type: ignore[call-overload, no-any-return]


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise Changed(f"its `{name}` is {value!r}, expected text")
    return value
