"""Whether a spool is the one that the store knows, or was restored from a backup, or copied.

Batches are known to the store by their spool's id and their number. A data directory that is put
back as it was before gives new articles numbers that the store has counted already, and they would
be dropped after they were acknowledged. So the store remembers who held the spool's run last, and
the spool whom it was held by: if the store's last one is not among the spool's, the spool was used
elsewhere since.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from daskingest.errors import UsageError
from daskingest.ledger import Ledger
from daskingest.pipeline.savers import TakenOver
from daskingest.service.spool import Spool
from daskingest.stores import Hold, Store, open_store
from daskingest.stores.sharded import in_all_shards, shard_runs

log = logging.getLogger(__name__)


def check_spool(spool: Spool, store: Store, folder: Path, take_over: bool) -> None:
    """Raise UsageError, saying what to do, if a spool was used elsewhere since it was used here.

    With `take_over` it gets a new identity instead: what it holds is counted as new.
    """
    found = what_is_wrong(spool, *_known(store, spool.id))
    if not found:
        return
    if not take_over:
        raise UsageError(
            f"the data directory {folder} was restored from a backup, or is a copy: {found}. "
            "Articles accepted into it now could be lost. Use the directory that was in use last, "
            f"or start with --take-over to count the {spool.articles:,} articles waiting in this "
            "one as new ones; those that the store already has are then counted twice"
        )
    spool.renew()
    log.warning(
        "taking over a restored or copied spool; articles that were counted already count twice",
        extra={"articles": spool.articles, "spool": spool.id},
    )


async def require_still_ours(spool: Spool, store_url: str) -> None:
    """Raise TakenOver if another service counts the spool's articles, or has since it was checked.

    Raises StoreError if the store can't tell now.
    """

    def read() -> tuple[list[Hold], Ledger]:
        with open_store(store_url) as store:
            return _known(store, spool.id)

    if found := what_is_wrong(spool, *await asyncio.to_thread(read)):
        log.error("the spool was used elsewhere: %s", found)
        raise TakenOver


def _known(store: Store, spool_id: str) -> tuple[list[Hold], Ledger]:
    """How a spool's shards are held, and what their ledgers have."""
    ledger = in_all_shards(store, spool_id)
    runs = (spool_id, *shard_runs(ledger, spool_id))
    return [hold for run in runs if (hold := store.hold(run)) is not None], ledger


def what_is_wrong(spool: Spool, holds: Sequence[Hold], ledger: Ledger) -> str:
    """Why the spool can't be the one that the store knows, in all its shards; empty if it can."""
    numbers = [int(each.entry) for each in ledger if each.is_batch]
    watermark = max((each.watermark for each in holds), default=0)
    counted = max([watermark, *numbers])
    if spool.last_number < counted:
        return f"the store has its batch {counted:,}, but it has made only {spool.last_number:,}"
    if any(each.owner not in spool.owners for each in holds):
        return "another service has counted its articles since"
    if spool.forgotten_up_to < watermark:
        return f"it still holds batches up to {watermark:,}, all of which the store has"
    return ""
