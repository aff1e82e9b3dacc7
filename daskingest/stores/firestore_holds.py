"""Who holds a run in Firestore: a document for each epoch, of which there is one at a time.

Errors of the client, and Changed, are raised as they are.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import uuid4

from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from daskingest.stores import Hold, Replaced
from daskingest.stores.firestore_documents import read
from daskingest.stores.firestore_errors import READ_SECONDS, RETRY
from daskingest.stores.firestore_layout import RUNS, held_of, hold_id


def take_over(db: firestore.Client, run: str, owner: str, timeout: float) -> Hold:
    """See `Store.take_over`. Of several who do it at once, each succeeds after the one before."""
    runs, token = db.collection(RUNS), uuid4().hex
    while True:
        before, its_token = held(db, run)
        if before is not None and its_token == token:
            return before  # it went through the last time
        epoch, watermark = (before.epoch + 1, before.watermark) if before else (1, 0)
        hold = Hold(run, epoch, owner, watermark)
        batch = db.batch()
        if before is not None:
            there = db.write_option(exists=True)
            batch.delete(runs.document(hold_id(before)), option=there)
        fields = {"run": run, "epoch": epoch, "owner": owner, "watermark": watermark}
        batch.create(runs.document(hold_id(hold)), {**fields, "token": token})
        try:
            batch.commit(retry=RETRY, timeout=timeout)
        except (exceptions.AlreadyExists, exceptions.NotFound):
            if held(db, run) == (before, its_token):
                raise  # there is no such database
        else:
            return hold


def held(db: firestore.Client, run: str) -> tuple[Hold | None, str]:
    """How a run is held, and the token of who took it over."""
    query = db.collection(RUNS).where(filter=FieldFilter("run", "==", run))
    found = [read(held_of, each) for each in query.stream(retry=RETRY, timeout=READ_SECONDS)]
    return max(found, key=lambda each: each[0].epoch, default=(None, ""))


def refused(db: firestore.Client, holds: Collection[Hold], error: exceptions.NotFound) -> Exception:
    """What it means that a commit found nothing to write where it had to."""
    for hold in holds:
        now, _ = held(db, hold.run)
        if now is None or now.epoch != hold.epoch:
            return Replaced(hold.run, now.owner if now else "")
    return error
