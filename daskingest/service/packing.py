"""How the spool packs articles that came together into bytes, and reads them again."""

from __future__ import annotations

from collections.abc import Sequence

import msgpack

from daskingest.articles import Article


class Unreadable(Exception):
    """What the spool has on disk is not what it wrote there; it says why."""


def pack(articles: Sequence[Article]) -> bytes:
    """Articles as bytes."""
    packed: bytes = msgpack.packb([(a.content, a.publication, a.id, a.month) for a in articles])
    return packed


def unpack(packed: object, number: int) -> list[Article]:
    """The `number` articles that were packed. Raises Unreadable if they aren't all there."""
    try:
        found = [Article(*row) for row in msgpack.unpackb(packed)]
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Unreadable(f"they cannot be unpacked ({error})") from error
    if len(found) != number:
        raise Unreadable(f"{number:,} articles were expected, {len(found):,} found")
    for each in found:
        texts = isinstance(each.content, str) and isinstance(each.publication, str)
        if not (texts and isinstance(each.id, str | None) and isinstance(each.month, int | None)):
            raise Unreadable("there is something else than articles")
    return found
