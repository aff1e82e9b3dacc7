"""Looks words up in Firestore, by their documents or by queries, whichever is billed less.

A document that is asked for is billed also if there is none; a query is billed what it finds, and
at least one document.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.query import Query

from daskingest.grouping import grouped
from daskingest.stores.firestore_documents import Snapshot, read
from daskingest.stores.firestore_errors import RETRY
from daskingest.stores.firestore_layout import word_id, word_of

IN = 30  # values in one query
_FEW = 3  # words of a publication, from which on they are queried
_PAGE = 5_000  # documents asked for at once
_AT_ONCE = 16  # queries

Pair = tuple[str, str]
"""A publication's key, and a word."""

Found = Iterator[tuple[Pair, Snapshot]]


class Lookup:
    """Finds those of many words that occur. `words_of` a key is a publication's collection."""

    def __init__(
        self, db: firestore.Client, words_of: Callable[[str], firestore.CollectionReference]
    ) -> None:
        self._db, self._words_of = db, words_of

    def __call__(self, words: Collection[Pair]) -> Found:
        """The documents of those words that there are."""
        by_publication: dict[str, list[str]] = {}
        for key, word in words:
            by_publication.setdefault(key, []).append(word)
        few = {key for key, its in by_publication.items() if len(its) < _FEW}
        many = {key: its for key, its in by_publication.items() if key not in few}
        return chain(self._by_id([pair for pair in words if pair[0] in few]), self._queried(many))

    def _by_id(self, words: Collection[Pair]) -> Found:
        for some in grouped(words, lambda each: 1, _PAGE):
            wanted = {
                self._words_of(key).document(word_id(word)): (key, word) for key, word in some
            }
            places = {document.path: pair for document, pair in wanted.items()}
            for each in self._db.get_all(list(wanted), retry=RETRY):
                if each.exists:
                    yield places[each.reference.path], each

    def _queried(self, by_publication: dict[str, list[str]]) -> Found:
        parts = [
            (key, some)
            for key, its in by_publication.items()
            for some in grouped(dict.fromkeys(its), lambda each: 1, IN)
        ]

        def ask(part: tuple[str, list[str]]) -> list[tuple[Pair, Snapshot]]:
            key, some = part
            query = self._words_of(key).where(filter=FieldFilter("word", "in", some))
            found = query.stream(retry=RETRY)
            return [((key, read(word_of, each).word), each) for each in found]

        if parts:
            with ThreadPoolExecutor(min(_AT_ONCE, len(parts)), "lookup") as threads:
                yield from chain.from_iterable(threads.map(ask, parts))


def in_order(
    db: firestore.Client,
    words: firestore.CollectionReference,
    after: tuple[int, str] | None,
    label: str | None,
) -> list[Query]:
    """The queries that together, in this order, find the words of `Store.words`."""
    field = "count" if label is None else db.field_path("labels", label)
    ordered = words.order_by(field, direction="DESCENDING")
    if after is None:
        return [ordered.where(filter=FieldFilter(field, ">", 0)).order_by("word")]
    same = words.where(filter=FieldFilter(field, "==", after[0]))
    less = ordered.where(filter=FieldFilter(field, "<", after[0]))
    return [
        same.where(filter=FieldFilter("word", ">", after[1])).order_by("word"),
        less.order_by("word"),
    ]


def beginning_with(words: firestore.CollectionReference, text: str) -> Query:
    """The words that begin with a text, in alphabetical order."""
    first = words.where(filter=FieldFilter("word", ">=", text))
    return first.where(filter=FieldFilter("word", "<", text + chr(0x10FFFF))).order_by("word")
