"""The cache of the pages."""

from __future__ import annotations

import asyncio

from daskingest.web.pages.reader import TtlCache


class Clock:
    """Time as a test sets it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_values_are_remembered_for_a_while() -> None:
    clock, made = Clock(), []
    recent: TtlCache[str, int] = TtlCache(5.0, 2, clock)

    async def make() -> int:
        made.append(clock.now)
        return len(made)

    async def steps() -> list[int]:
        values = [await recent.get("a", make), await recent.get("a", make)]
        clock.now = 4.9
        values.append(await recent.get("a", make))
        clock.now = 5.0
        values += [await recent.get("a", make), await recent.get("b", make)]
        clock.now = 6.0
        values += [await recent.get("c", make), await recent.get("b", make)]
        return [*values, await recent.get("a", make)]  # the oldest of three had to go

    assert asyncio.run(steps()) == [1, 1, 1, 2, 3, 4, 3, 5]


def test_what_fails_is_not_remembered() -> None:
    recent: TtlCache[str, int] = TtlCache(5.0, 2, Clock())
    outcomes = iter([False, True])

    async def make() -> int:
        if not next(outcomes):
            raise OSError
        return 1

    async def steps() -> int:
        try:
            await recent.get("a", make)
        except OSError:
            return await recent.get("a", make)
        raise AssertionError

    assert asyncio.run(steps()) == 1
