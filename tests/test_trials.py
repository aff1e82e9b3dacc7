"""Articles to try: what the person who tries a text sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest
from distributed import KilledWorker

from daskingest.errors import DaskingestError, UsageError
from daskingest.service.trials import Trials


class Client:
    """What Dask's client answers."""

    def __init__(self, answer: list[tuple[int, int, str]] | Exception) -> None:
        self._answer = answer
        self.keys: list[str] = []

    def submit(self, function: Callable[..., Any], *args: Any, key: str, **options: Any) -> Any:
        assert (args, options["resources"]) == (("a text", "model"), {"extract": 1})
        self.keys.append(key)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if isinstance(self._answer, Exception):
            future.set_exception(self._answer)
        else:
            future.set_result(self._answer)
        return future


NOBODY: Any = None


def tried(answer: list[tuple[int, int, str]] | Exception) -> list[tuple[int, int, str]]:
    client: Any = Client(answer)
    return asyncio.run(Trials(client, "model").entities("a text"))


def test_entities_come_back() -> None:
    assert tried([(0, 5, "ORG")]) == [(0, 5, "ORG")]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TimeoutError(), "no worker had time for it"),
        (KilledWorker("key", NOBODY, 0), "the worker that tried it died"),
        (CancelledError("key"), "the connection to the workers was lost"),
        (ValueError("[E088] too long"), "spaCy can't process this text: [E088] too long"),
        (UsageError("no model"), "no model"),
    ],
)
def test_an_error_says_what_happened(error: Exception, told: str) -> None:
    with pytest.raises(DaskingestError) as raised:
        tried(error)
    assert str(raised.value).startswith(told)


def test_each_try_is_another_task() -> None:
    client: Any = Client([])

    async def twice() -> None:
        trials = Trials(client, "model")
        await trials.entities("a text")
        await trials.entities("a text")

    asyncio.run(twice())
    assert len(set(client.keys)) == 2
