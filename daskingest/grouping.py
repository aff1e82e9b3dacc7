"""Group items into lists of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def grouped(
    items: Iterable[T], size_of: Callable[[T], int], max_size: int, max_count: int | None = None
) -> Iterator[list[T]]:
    """The items in order, in lists of at most `max_count` items whose sizes add up to at most
    `max_size`. An item that is larger is a list of its own.
    """
    group: list[T] = []
    size = 0
    for item in items:
        more = size_of(item)
        if group and (size + more > max_size or len(group) == max_count):
            yield group
            group, size = [], 0
        group.append(item)
        size += more
    if group:
        yield group
