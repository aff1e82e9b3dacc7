"""A planted fault: a commit does not look whether its run was taken over."""

from typing import Any

from google.cloud import firestore

from daskingest.stores import sqlite
from daskingest.stores.firestore_layout import RUNS

_update = firestore.WriteBatch.update


def _whether_it_is_there_or_not(
    self: firestore.WriteBatch, document: Any, fields: Any, option: Any = None
) -> None:
    if document.parent.id == RUNS:
        self.set(document, fields, merge=True)
    else:
        _update(self, document, fields, option)


firestore.WriteBatch.update = _whether_it_is_there_or_not  # type: ignore[method-assign, assignment]
sqlite._compare = lambda db, hold: None
