"""Asked once, a command stops; asked twice, it aborts; whenever it is asked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from daskingest.cli.exit_codes import ExitCode
from daskingest.cli.interrupts import Interrupts, signals


class Command:
    """Interrupts, and what came of them, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.interrupts = Interrupts(
            lambda: self.log.append("stopping"),
            lambda: self.log.append("aborting"),
            lambda code: self.log.append(f"exit {int(code)}"),
        )

    def attach(self) -> None:
        self.interrupts.attach(lambda: self.log.append("stop"))


def test_asked_while_it_works() -> None:
    command = Command()

    async def work() -> None:
        command.attach()
        assert not command.interrupts.asked
        await asyncio.to_thread(command.interrupts.request)
        await asyncio.sleep(0)
        assert command.interrupts.asked

    asyncio.run(work())
    assert command.log == ["stopping", "stop"]


def test_asked_before_there_was_anything_to_stop() -> None:
    command = Command()
    command.interrupts.request()
    assert command.log == ["stopping"]

    async def work() -> None:
        command.attach()
        await asyncio.sleep(0)

    asyncio.run(work())
    assert command.log == ["stopping", "stop"]


def test_asked_while_it_waits_for_what_never_comes() -> None:
    aborted = threading.Event()
    interrupts = Interrupts(exit=lambda code: aborted.set())
    with interrupts.waiting(0.01):
        interrupts.request()
        assert aborted.wait(30)


def test_asked_while_it_waits_for_what_comes() -> None:
    command = Command()
    with command.interrupts.waiting(0.3):
        command.interrupts.request()
    with command.interrupts.waiting(3600):
        time.sleep(0.4)
    assert command.log == ["stopping"]


def test_it_stops_once_though_asked_while_it_attaches() -> None:
    command = Command()

    async def work() -> None:
        command.attach()
        command.interrupts.request()
        command.attach()
        await asyncio.sleep(0)

    asyncio.run(work())
    assert command.log == ["stopping", "stop"]


def test_asked_when_all_is_done() -> None:
    command = Command()

    async def work() -> None:
        command.attach()

    asyncio.run(work())
    command.interrupts.request()
    assert command.log == ["stopping"]


def test_asked_twice_it_aborts() -> None:
    command = Command()
    command.interrupts.request()
    command.interrupts.request()
    assert command.log == ["stopping", "aborting", f"exit {int(ExitCode.INTERRUPTED)}"]


def test_a_stop_needs_no_terminal() -> None:
    """Rich makes a SystemExit of a pipe that was closed."""
    stopped: list[str] = []

    def fail() -> None:
        raise SystemExit

    async def work() -> None:
        interrupts = Interrupts(stopping=fail)
        interrupts.attach(lambda: stopped.append("stop"))
        interrupts.request()
        await asyncio.sleep(0)

    asyncio.run(work())
    assert stopped == ["stop"]


def test_an_abort_needs_no_terminal() -> None:
    codes: list[int] = []

    def fail() -> None:
        raise OSError("the terminal is gone")

    Interrupts(aborting=fail, exit=codes.append).abort()
    assert codes == [130]


def test_signals_are_handed_on() -> None:
    """In a process without other threads, which would take the signal."""
    code = "import test_interrupts; test_interrupts.signals_are_handed_on()"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True, timeout=60)


def signals_are_handed_on() -> None:
    """Ctrl-C on a thread that waits for it, each time; SIGTERM on the main thread."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupted, terminated = threading.Semaphore(0), threading.Event()
    before = signal.getsignal(signal.SIGTERM)
    threads: list[threading.Thread] = []

    def interrupt() -> None:
        threads.append(threading.current_thread())
        interrupted.release()

    def terminate() -> None:
        threads.append(threading.current_thread())
        terminated.set()

    with signals(interrupt, terminate):
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
            assert interrupted.acquire(timeout=60)
        os.kill(os.getpid(), signal.SIGTERM)
        assert terminated.wait(60)
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert [each.name for each in threads] == [*["interrupts"] * 3, "MainThread"]
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_commands_are_declared_without_threads() -> None:
    """Those of numpy would take Ctrl-C, as they are started before it is blocked."""
    code = (
        "import sys, daskingest.cli.app; "
        "print({'numpy', 'pyarrow', 'fsspec', 'distributed'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
