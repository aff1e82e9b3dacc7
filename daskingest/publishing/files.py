"""The files whose counts are published: the target knows each, so that it is counted once.

A file that is counted into another store first has an entry for that in the target's ledger, beside
the one that says how its run began, and one more when all of it is published. A run that the target
knows and that has no such entry was counted into the target directly.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from pathlib import Path

from daskingest.errors import UsageError
from daskingest.grouping import grouped
from daskingest.ledger import BatchId, Begun, Done, Entry, Ledger, Staged
from daskingest.packed import PackedCounts
from daskingest.stores import AlreadyCommitted, Hold, Store

_AT_ONCE = 100  # runs in one commit


def place_text(staged: Staged) -> str:
    """Where a run is counted, for people."""
    return f"by way of {staged.path} on {staged.host}"


def staged_here(by: str, path: Path) -> Staged:
    """The entry of a run that is counted into the file at this path."""
    return Staged(by, socket.gethostname(), str(path.absolute()))


def new_runs(target: Store, begun: Mapping[str, Begun], staged: Staged) -> dict[str, Begun]:
    """Those of these runs that the target does not know.

    Raises UsageError if it knows one of them from elsewhere: it would be counted twice.
    """
    known, new = _known(target, begun), {}
    for run, its in begun.items():
        there = known.get(BatchId.staged(run))
        if BatchId.begin(run) not in known or _is_void(target, there, staged):
            new[run] = its
        else:
            _require_ours(its, there, staged)
    return new


def enter_begun(
    target: Store, new: Mapping[str, Begun], staged: Staged, holds: Collection[Hold] = ()
) -> int:
    """Have the target know that these runs are counted elsewhere first. Returns the writes.

    Raises UsageError as `new_runs` does.
    """
    writes, known = 0, _known(target, new)
    for some in grouped(new, lambda each: 1, _AT_ONCE):
        for run in some:
            if _is_void(target, known.get(BatchId.staged(run)), staged):
                void = BatchId.begin(run), BatchId.staged(run)
                target.forget(void, target.take_over(run, staged.by))
        entries: dict[BatchId, Entry] = {}
        for run in some:
            entries |= {BatchId.begin(run): new[run], BatchId.staged(run): staged}
        try:
            writes += target.commit(PackedCounts(), entries, holds)
        except AlreadyCommitted:  # another program was quicker, or an answer was lost
            left = new_runs(target, {run: new[run] for run in some}, staged)
            writes += enter_begun(target, left, staged, holds)
    return writes


def _is_void(target: Store, there: Entry | None, staged: Staged) -> bool:
    """Whether an entry is of a store that was here before this one, and never published anything.

    Nothing of it is left then, in the target or here.
    """
    if not isinstance(there, Staged) or there.by == staged.by:
        return False
    return (there.host, there.path) == (staged.host, staged.path) and not target.hold(there.by)


def _require_ours(begun: Begun, there: Entry | None, staged: Staged) -> None:
    if isinstance(there, Staged) and there.by == staged.by:
        return
    how = place_text(there) if isinstance(there, Staged) else "directly"
    raise UsageError(
        f"{begun.file} is counted into this store {how}, and from {staged.path} it would count a "
        "second time: go on with it there, or count it into another store"
    )


def enter_done(target: Store, done: Mapping[str, Done], hold: Hold) -> int:
    """Have the target know that all of these runs is published. Returns the writes."""
    known = target.ledger_entries([BatchId.done(run) for run in done])
    writes, new = 0, [run for run in done if BatchId.done(run) not in known]
    for some in grouped(new, lambda each: 1, _AT_ONCE):
        try:
            entries: dict[BatchId, Entry] = {BatchId.done(run): done[run] for run in some}
            writes += target.commit(PackedCounts(), entries, [hold])
        except AlreadyCommitted:  # its answer was lost
            writes += enter_done(target, {run: done[run] for run in some}, hold)
    return writes


def _known(target: Store, runs: Collection[str]) -> Ledger:
    ids = [make(run) for run in runs for make in (BatchId.begin, BatchId.staged)]
    return target.ledger_entries(ids)
