"""What a batch is to be blamed for, when a worker died with it or was ended for being late."""

from __future__ import annotations

from enum import Enum

from daskingest.errors import DaskingestError
from daskingest.ledger import Counted
from daskingest.pipeline.batch import Batch
from daskingest.pipeline.jobs import Job, Task
from daskingest.tally import Tally

KILLED_WORKER = "killed its worker"
TOO_LONG = "took too long"
TOO_MANY_WORDS = "more words than one commit of the store takes"
NOT_TAKEN = "refused by the store"

FAILURES_TO_REJECT = {KILLED_WORKER: 3, TOO_LONG: 2}
"""How often an article must have failed alone, on workers that had passed a control just before."""

_FAILURES_TO_SUSPECT = 2  # workers that died with a batch before it is tried alone
_INNOCENT_TO_SUSPECT = 8  # that died otherwise: it may be what they die of before they can tell
_EXPLAINED_TO_BE_QUIET = 2  # so that the batches of other workers can't be what explains a death


class Verdict(Enum):
    """What is to be done with a batch whose worker died."""

    AGAIN = "it is tried again as before"
    SUSPECT = "from now on it is tried alone"
    CUT = "it failed alone: it is cut in two, or rejected if it has failed often enough"
    UNFIT = "its worker would have failed without it: it is tried again on another"


def judge(job: Job, task: Task, explained: bool) -> Verdict:
    """What becomes of a batch, and a note of it in its `tries`. The task is the one that ended.

    A death that is explained otherwise is none of the batch's, nor is one before it was begun
    with. A batch that took too long is to blame, as it was ended for that; not where its worker
    was kept from working.
    """
    tries, overdue = job.tries, task.too_long
    explained |= task.overdue is not None and task.hindered
    if not task.to_blame:
        tries.unbegun += not explained
        if job.alone:
            return Verdict.AGAIN if explained else Verdict.UNFIT
    elif explained and not overdue:
        tries.explained += 1
        job.quiet = job.alone and tries.explained >= _EXPLAINED_TO_BE_QUIET
    else:
        tries.failures += 1
        if job.alone:
            return Verdict.CUT
        if overdue or tries.failures >= _FAILURES_TO_SUSPECT:
            return Verdict.SUSPECT
    often = tries.unbegun + tries.explained >= _INNOCENT_TO_SUSPECT
    return Verdict.SUSPECT if often and not job.alone else Verdict.AGAIN


def rejected(batch: Batch, reason: str, row: int = 0) -> Counted:
    """The entry of a batch whose one article, in this row, is rejected."""
    tally = Tally(rows=1)
    tally.reject(row, reason)
    return Counted(tally, batch.checksum)


def as_ours(error: Exception) -> DaskingestError:
    """What to raise for what a task raised, again and again."""
    if isinstance(error, DaskingestError):
        return error
    ours = DaskingestError(f"a batch could not be counted: {type(error).__name__}: {error}")
    ours.__cause__ = error
    return ours


def none_is_fit(workers: int, reason: str) -> DaskingestError:
    """What to raise when no worker can be found to try a suspect on."""
    return DaskingestError(
        f"{workers} workers, one after the other, failed on a harmless text, the last because "
        f"{reason}: expected workers on which the model runs; check that they have enough memory, "
        "and try the bundled sample with the same model"
    )


def saver_unreached(reason: str) -> DaskingestError:
    """What to raise when counts don't get to the saver."""
    return DaskingestError(f"the workers cannot reach the saver: {reason}")
