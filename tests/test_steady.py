"""What the machine's clock does to Dask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from chaos.shim import Shim
from parts import lacking

PROGRAM = """
import asyncio, sys
from contextlib import suppress

import distributed.batched
from distributed.comm import connect, listen

from daskingest.pipeline.steady import steady

got = asyncio.Queue()


async def take(comm):
    with suppress(OSError):
        while True:
            for each in await comm.read():
                got.put_nowait(each)


async def main():
    print("loaded", flush=True)
    sys.stdin.readline()
    async with listen("tcp://127.0.0.1:0", take) as listener:
        comm = await connect(listener.contact_address)
        sender = distributed.batched.BatchedSend(interval="300ms")
        sender.start(comm)
        sender.send("first")
        assert await got.get() == "first"
        sender.send("second")  # which is held back a little
        steady()
        print("sent", flush=True)
        sys.stdin.readline()
        print(await asyncio.wait_for(got.get(), 10), flush=True)
        comm.abort()


asyncio.run(main())
"""


@pytest.mark.parametrize("hours", [-25, 25])
@pytest.mark.parametrize("moment", ["loaded", "sent"])
def test_messages_arrive_when_the_clock_was_set(tmp_path: Path, moment: str, hours: int) -> None:
    shim = Shim(tmp_path / "shim", [])
    if not shim.environment:
        lacking("no C compiler")
    command = [sys.executable, "-c", PROGRAM]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=os.environ | shim.environment, **pipes) as process:  # type: ignore[call-overload]
        try:
            for each in ("loaded", "sent"):
                assert process.stdout.readline() == f"{each}\n"
                if each == moment:
                    shim.move_clock(3600 * hours)
                process.stdin.write("\n")
                process.stdin.flush()
            assert process.stdout.readline() == "second\n"
        finally:
            process.kill()
