"""Who holds a run in Firestore: a document for each epoch, of which there is one at a time.

Each commit writes the documents of its runs' epochs, on the condition that they were not written
since the commit before it. So one whose answer got lost, and a copy of which is still on its way
when its entries have left the ledger, is applied once at most.

Errors of the client, and Changed, are raised as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from daskingest.stores import Hold, Replaced
from daskingest.stores.firestore_documents import read
from daskingest.stores.firestore_errors import CHECK_RETRY, READ_SECONDS, RETRY
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


class Fence:
    """When the documents of epochs were last written, as far as a store knows.

    `by_time` is to be false for an emulator that does not look at times, and would write anyway.
    """

    def __init__(self) -> None:
        self.by_time = True
        self._times: dict[str, Any] = {}

    def option(self, db: firestore.Client, hold: Hold) -> firestore.WriteOption | None:
        """The condition on which a commit may write. Raises NotFound if the hold is another's."""
        if not self.by_time:
            return None  # it must be there
        name = hold_id(hold)
        if name not in self._times:
            found = db.collection(RUNS).document(name).get(retry=RETRY, timeout=READ_SECONDS)
            now, _ = held(db, hold.run)  # a late copy may have brought an old one back
            if not found.exists or now is None or now.epoch != hold.epoch:
                raise exceptions.NotFound(f"no document {name}")  # type: ignore[no-untyped-call]
            self._times[name] = found.update_time
        return db.write_option(last_update_time=self._times[name])

    def wrote(self, holds: Collection[Hold], results: Sequence[Any]) -> None:
        """A commit, with the documents of these holds first, is through, with these results."""
        for hold, result in zip(holds, results, strict=False):
            self._times[hold_id(hold)] = result.update_time

    def unknown(self, holds: Collection[Hold]) -> None:
        """It is not known what became of a commit."""
        for hold in holds:
            self._times.pop(hold_id(hold), None)


def looks_at_times(scratch: firestore.DocumentReference, db: firestore.Client) -> bool:
    """Whether the emulator looks at times, as Firestore does. Writes the document."""
    scratch.set({"none": 1}, retry=CHECK_RETRY, timeout=10.0)
    long_ago = db.write_option(last_update_time=datetime(2000, 1, 1, tzinfo=UTC))
    try:
        scratch.update({"none": 2}, option=long_ago, retry=CHECK_RETRY, timeout=10.0)
    except exceptions.FailedPrecondition:
        return True
    return False


def refused(db: firestore.Client, holds: Collection[Hold], error: exceptions.NotFound) -> Exception:
    """What it means that a commit found nothing to write where it had to."""
    for hold in holds:
        now, _ = held(db, hold.run)
        if now is None or now.epoch != hold.epoch:
            return Replaced(hold.run, now.owner if now else "")
    return error
