"""A schedule from its beginning to its end: the program at work, its faults, and what must hold."""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from program import Program

from chaos.articles import Article
from chaos.faults import Fault, Impossible, Schedule
from chaos.world import World

ARTICLES = 240
PATIENCE = 90.0
"""Seconds in which a program must get somewhere when no fault lasts any more."""

_IMPATIENCE = 2.5  # seconds after which the next fault comes although the work has not got so far
_SLOW_START = 40.0  # seconds that a start may take on a busy machine
_RESTARTS = 6  # after the last fault


class Broken(AssertionError):
    """Something does not hold."""


class Scenario(ABC):
    """A command at work on the articles, which is started again whenever it has ended."""

    def __init__(self, world: World, schedule: Schedule) -> None:
        self.world = world
        self.schedule = schedule
        self.articles = [Article(number) for number in range(ARTICLES)]
        self._started, self._before = 0.0, 0.0
        self.program = self.start()

    @abstractmethod
    def start(self) -> Program:
        """Start the program, the same each time."""

    @abstractmethod
    def check(self) -> None:
        """Raise Broken unless all is as it must be when all has been counted."""

    def close(self) -> None:
        """Whatever became of it, no fault lasts."""
        self.world.lift()

    def expect(self, fault: Fault) -> None:
        """This fault comes next."""
        self.world.tick()

    def progress(self) -> float:
        """What share of the work is done."""
        return self.world.store.articles() / sum(bool(each.text) for each in self.articles)

    def is_over(self) -> bool:
        """Whether the program has ended, having done all."""
        return self.program.process.poll() == 0

    def go(self) -> None:
        """All of the schedule. Raises Broken."""
        for fault in self.schedule.faults:
            self.expect(fault)
            self._wait_for(fault)
            if self.is_over():
                break
            try:
                self.inject(fault)
                self.world.note(f"injected {fault}")
            except Impossible as why:
                self.world.note(f"not {fault}: {why}")
        self.expect(Fault("", at=1.0))
        self._outlast()
        self.world.lift()
        self.world.note("no more faults")
        self.finish()
        self._require_the_end_of_all()
        self.check()

    def inject(self, fault: Fault) -> None:
        """Do a fault. Raises Impossible."""
        self.world.inject(fault, self.program)

    def finish(self) -> None:
        """Have the program do what is left. Raises Broken."""
        for _ in range(_RESTARTS):
            code = self.end_of(self.program)
            if code == 0:
                return
            self.world.note(f"ended with {code}")
            self.program = self.start()
        raise Broken(f"not done after {_RESTARTS} starts: {self.last_words()}")

    def end_of(self, program: Program) -> int:
        """A program's exit code. Raises Broken if it hangs."""
        deadline = time.monotonic() + PATIENCE
        while program.process.poll() is None:
            program.family()
            if time.monotonic() > deadline:
                raise Broken(f"it hangs: {self.last_words()}")
            time.sleep(0.05)
        return program.process.returncode

    def last_words(self) -> str:
        """What the program printed last."""
        return self.program.output[-1500:]

    def keep_running(self) -> None:
        """Start the program again if it has ended before all was done."""
        code = self.program.process.poll()
        if code not in (None, 0):
            self.world.note(f"ended with {code}: {self.program.output.strip()[-200:]!r}")
            self.program = self.start()

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something, while the program is kept running. Raises Broken."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self._look()
            if time.monotonic() > deadline:
                raise Broken(f"not within {PATIENCE:g} seconds: {what}; {self.last_words()}")

    def _wait_for(self, fault: Fault) -> None:
        """Until a fault's moment, or the end."""
        begun = time.monotonic()
        while not self.is_over():
            self._look()
            if self.progress() >= fault.at or self._is_late(begun):
                break
        time.sleep(fault.after)

    def _outlast(self) -> None:
        """Until no fault lasts any more."""
        while self.world.lasts:
            self._look()

    def _look(self) -> None:
        """What is to be done all the time, with a pause."""
        self.world.tick()
        self.keep_running()
        self.program.family()
        time.sleep(0.03)

    def _is_late(self, begun: float) -> bool:
        """Whether the work does not get on as it might, when it has been waited for since then.

        Where it has just been started, that takes its time.
        """
        if self._started != self.world.started:
            self._started, self._before = self.world.started, self.progress()
        if self.progress() == self._before:
            begun = max(begun, self._started + _SLOW_START)
        return time.monotonic() - begun > _IMPATIENCE

    def _require_the_end_of_all(self) -> None:
        deadline = time.monotonic() + 15
        while found := self.world.left:
            if time.monotonic() > deadline:
                raise Broken(f"processes outlive the program: {found}")
            time.sleep(0.1)


@contextmanager
def emptied(folder: Path) -> Iterator[Path]:
    """A new folder, removed at the end."""
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
