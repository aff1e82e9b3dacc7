"""How large the batches of a run are, so that its workers end together.

A worker that has no batch any more waits for those that do. Of 51 batches, two workers have 26 and
25, and of sixteen, thirteen wait while three have a fourth one. So there are as many as many
numbers of workers share evenly: how many there are this time does not matter, for a run may go on
elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection

_SHARED = 16
_LEAST = 128 << 10
"""Bytes that are a tenth of a second's work; a task as such takes some hundredth."""


def even(batch_bytes: int, sizes: Collection[int | None]) -> int:
    """The bytes of a batch, at most `batch_bytes`, of files that have these sizes.

    With it, the number of all their batches is near a multiple of 16. None is made smaller than 128
    KiB for that, nor if a size is not known.
    """
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes) or batch_bytes <= _LEAST:
        return batch_bytes
    batches = _SHARED * max(1, -(-sum(known) // (_SHARED * batch_bytes)))
    return max(_LEAST, -(-sum(known) // batches))
