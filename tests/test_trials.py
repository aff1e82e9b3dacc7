"""What a person who tries a text is told, by a process that is killed when it must be."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from models import make_deadly_model
from program import until

from daskingest.errors import DaskingestError, UsageError
from daskingest.models import find_model
from daskingest.service.listening import lets_try
from daskingest.service.trials import MAX_TEXT, Trials

TEXT = "Angela Merkel went to Paris."
FOUND = [(0, 13, "PERSON"), (22, 27, "GPE")]


@asynccontextmanager
async def opened(seconds: float = 60.0, model: str | None = None) -> AsyncIterator[Trials]:
    trials = Trials(model or find_model(), seconds)
    try:
        yield trials
    finally:
        await trials.close()


def children() -> list[psutil.Process]:
    return [
        each
        for each in psutil.Process().children()
        if "daskingest.service.trial_process" in each.cmdline()
    ]


async def told(trials: Trials, text: str) -> str:
    """The error that comes of a text."""
    with pytest.raises(DaskingestError) as raised:
        await trials.entities(text)
    return str(raised.value)


def test_entities_come_back_from_one_process_for_all() -> None:
    async def go() -> None:
        async with opened() as trials:
            assert not children()  # not before there is a text
            assert await asyncio.gather(*(trials.entities(TEXT) for _ in range(8))) == [FOUND] * 8
            assert len(children()) == 1
        assert not children()

    asyncio.run(go())


@pytest.mark.slow
def test_a_text_that_takes_too_long_is_killed_and_the_next_is_not() -> None:
    async def go() -> None:
        async with opened() as trials:
            await trials.entities(TEXT)
            [before] = children()
            trials.seconds = 0.05
            assert (await told(trials, "!" * MAX_TEXT)).startswith("finding its entities takes")
            assert not before.is_running()
            trials.seconds = 60.0
            assert await trials.entities(TEXT) == FOUND

    asyncio.run(go())


def test_a_process_that_dies_is_told_and_replaced() -> None:
    async def go() -> None:
        async with opened() as trials:
            await trials.entities(TEXT)
            [process] = children()
            process.suspend()
            asked = asyncio.create_task(told(trials, TEXT))
            await asyncio.sleep(0)
            process.kill()
            assert "died" in await asked
            assert await trials.entities(TEXT) == FOUND

    asyncio.run(go())


def test_whoever_goes_away_leaves_no_answer_for_others() -> None:
    async def go() -> None:
        async with opened() as trials:
            await trials.entities(TEXT)
            [process] = children()
            process.suspend()
            asked = asyncio.create_task(trials.entities("Siemens"))
            await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            assert await trials.entities(TEXT) == FOUND

    asyncio.run(go())


def test_a_text_that_takes_too_much_memory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = make_deadly_model(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    )

    async def go() -> None:
        async with opened(model=name) as trials:
            assert "takes more than 4 GiB of memory" in await told(trials, "GREEDY " + TEXT)
            assert await trials.entities(TEXT) == FOUND

    asyncio.run(go())


@pytest.mark.slow
def test_what_is_too_much() -> None:
    async def go() -> None:
        async with opened(model="no_model") as trials:
            assert f"of up to {MAX_TEXT:,}" in await told(trials, "x" * (MAX_TEXT + 1))
            asked = [asyncio.create_task(told(trials, TEXT)) for _ in range(9)]
            errors = await asyncio.gather(*asked)
            assert errors[-1].startswith("several texts are being tried")
            assert all("no_model is not a spaCy model" in each for each in errors[:-1])
            with pytest.raises(UsageError):
                await trials.entities(TEXT)

    asyncio.run(go())


def test_no_process_outlives_whoever_started_it(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, os, signal, psutil\n"
        "from daskingest.models import find_model\n"
        "from daskingest.service.trials import Trials\n"
        "async def go():\n"
        "    trials = Trials(find_model())\n"
        f"    await trials.entities({TEXT!r})\n"
        "    asyncio.create_task(trials.entities('!' * 20_000))\n"
        "    await asyncio.sleep(0.01)\n"
        "    print(*(each.pid for each in psutil.Process().children()), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(go())\n"
    )
    done = subprocess.run([sys.executable, script], check=False, stdout=subprocess.PIPE)
    assert done.returncode == -signal.SIGKILL
    [pid] = map(int, done.stdout.split())
    until(lambda: not psutil.pid_exists(pid))


@pytest.mark.parametrize(
    ("wanted", "host", "needs_key", "lets"),
    [
        (None, "127.0.0.1", False, True),
        (None, "::1", False, True),
        (None, "0.0.0.0", False, False),
        (None, "0.0.0.0", True, True),
        (None, "no.such.host.invalid", False, False),
        (True, "0.0.0.0", False, True),
        (False, "127.0.0.1", True, False),
    ],
)
def test_where_people_may_try(wanted: bool | None, host: str, needs_key: bool, lets: bool) -> None:
    assert lets_try(wanted, host, needs_key) is lets
