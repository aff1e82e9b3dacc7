"""Waiting for a scheduler or a worker: it is said, said again, and it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from daskingest.pipeline.waiting import NotThere, SchedulerLost, Waiting, patiently


def test_what_is_missing_is_said_again(caplog: pytest.LogCaptureFixture) -> None:
    waiting = Waiting(200)
    for now in range(200):
        assert not waiting.looked("no saver", now)
        assert waiting.missing == ("no saver" if now >= 3 else "")
    assert caplog.messages == [
        "waiting: no saver",
        "waiting for 60 seconds: no saver",
        "waiting for 120 seconds: no saver",
        "waiting for 180 seconds: no saver",
    ]
    assert waiting.looked("no saver", 200)


def test_what_is_soon_there_again_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    waiting = Waiting(200)
    for now in range(0, 300, 2):
        assert not waiting.looked("no saver" if now % 4 else "", now)
    assert not caplog.messages


def test_without_patience_it_ends_at_once() -> None:
    assert Waiting(0).looked("no saver", 7)


def opening(*answers: Exception | int) -> AbstractAsyncContextManager[int]:
    left = list(answers)

    @asynccontextmanager
    async def one() -> AsyncIterator[int]:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield answer

    return patiently(one, 1.5, lambda: not left)


def opened(*answers: Exception | int) -> int:
    async def go() -> int:
        async with opening(*answers) as value:
            return value

    return asyncio.run(go())


def test_a_cluster_that_comes_is_used() -> None:
    assert opened(NotThere("nobody"), 3) == 3


def test_patience_ends() -> None:
    with pytest.raises(NotThere, match="nobody"):
        opened(*[NotThere("nobody")] * 9)


def test_who_is_stopped_does_not_wait() -> None:
    with pytest.raises(NotThere, match="the last"):
        opened(NotThere("the last"))


def test_one_that_goes_while_it_is_connected_to_is_lost() -> None:
    with pytest.raises(SchedulerLost):
        opened(OSError("closed"), 3)
