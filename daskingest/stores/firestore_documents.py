"""Reading Firestore's documents, which somebody may have changed in the console."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from google.cloud import firestore

from daskingest.stores import Word
from daskingest.stores.firestore_layout import Changed

T = TypeVar("T")

Snapshot = firestore.DocumentSnapshot[Any]


def read(meaning: Callable[[Mapping[str, Any]], T], document: Snapshot) -> T:
    """What a document's fields mean. Raises Changed, which names it, if that cannot be told."""
    try:
        return meaning(document.to_dict() or {})
    except (Changed, ValueError, TypeError, KeyError) as error:
        raise Changed(f"the document {document.reference.path}: {error}") from error


def seen(word: Word, label: str | None) -> list[Word]:
    """The word as counted under one label; nothing if it was never counted under it."""
    its = word if label is None else word.under(label)
    return [its] if its else []
