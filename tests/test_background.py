"""Background tasks without which the service can't continue."""

from __future__ import annotations

import asyncio

import pytest

from daskingest.errors import DaskingestError, UsageError
from daskingest.service.background import Background


async def fail(error: Exception) -> None:
    raise error


async def succeed() -> None:
    pass


def test_the_first_failure_is_kept_and_told() -> None:
    async def go() -> None:
        background, told = Background(), []
        background.on_failure = lambda: told.append(background.failure)
        await background.start(succeed())
        assert background.failure is None
        first = UsageError("first")
        await background.start(fail(first))
        await background.start(fail(ValueError("second")))
        assert background.failure is first
        assert told == [first]

    asyncio.run(go())


def test_any_error_is_told_in_a_sentence() -> None:
    async def go() -> DaskingestError | None:
        background = Background()
        await background.start(fail(KeyError("x")))
        return background.failure

    assert str(asyncio.run(go())) == "the service failed: KeyError('x')"


def test_closing_stops_it() -> None:
    async def go() -> None:
        background, ended = Background(), []

        async def wait() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        task = background.start(wait())
        await asyncio.sleep(0)
        await background.close()
        assert (task.done(), ended, background.failure) == (True, [True], None)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
