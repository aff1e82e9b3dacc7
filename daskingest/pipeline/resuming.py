"""What a run's source gives, and what the ledger says was counted of it before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from daskingest.ledger import Ledger
from daskingest.pipeline.batch import Batch, planned
from daskingest.pipeline.events import Finished
from daskingest.pipeline.jobs import Jobs
from daskingest.tally import Tally


def take_up(batches: Iterable[Batch], ledger: Ledger, jobs: Jobs) -> Iterator[Finished]:
    """Make jobs of what the store lacks of these batches, and tell what it has.

    The entries of these batches are taken from the ledger.
    """
    counted: list[tuple[Batch, Tally]] = []
    for batch, tally in planned(batches, ledger):
        if tally is None:
            jobs.add(batch)
        else:
            counted.append((batch, tally))
    left = Counter(batch.id.given for batch, _ in counted)
    for batch, tally in counted:
        given = batch.id.given
        left[given] -= 1
        last = not left[given] and not jobs.has(given)
        yield Finished(batch, tally, None, fresh=False, last=last)
