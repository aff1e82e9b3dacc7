"""Take things in groups of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def grouped(
    items: Iterable[T], size_of: Callable[[T], int], most: int, count: int | None = None
) -> Iterator[list[T]]:
    """The items in order, in lists whose sizes add up to no more than `most`, and of no more than
    `count` items. One that is larger stands alone.
    """
    group: list[T] = []
    size = 0
    for item in items:
        more = size_of(item)
        if group and (size + more > most or len(group) == count):
            yield group
            group, size = [], 0
        group.append(item)
        size += more
    if group:
        yield group
