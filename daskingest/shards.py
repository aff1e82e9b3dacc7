"""Which shard of a run a row is in: what keeps savers in number out of each other's way.

The publications of a run are spread over its shards, and each shard is, for a store, a run of its
own: with a ledger, an epoch and a watermark. So two savers never add to the same counts, and what
one of them commits needs nothing of the others. A run's number of shards is in its first entry and
never changes; a run of one shard has neither that entry nor any other sign of it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from daskingest.articles import Article, Reject, publication_key

_MARK = "~"


def shard_run(run: str, shard: int) -> str:
    """What a run's shard is called in a store."""
    return f"{run}{_MARK}{shard}"


def run_and_shard(name: str) -> tuple[str, int]:
    """The run and the shard with this name; a run that is not in shards is its own shard 0."""
    run, _, shard = name.partition(_MARK)
    return run, int(shard or 0)


def shard_of(row: Article | Reject, shards: int) -> int:
    """The shard of a row, of so many: that of its publication, or the first one of a reject."""
    if shards == 1 or isinstance(row, Reject):
        return 0
    return shard_of_publication(row.publication, shards)


@lru_cache(1 << 14)
def shard_of_publication(publication: str, shards: int) -> int:
    """The shard of a publication, of so many: the same in every process, on every machine, always,
    however the name is written.
    """
    key = publication_key(publication).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) % shards
