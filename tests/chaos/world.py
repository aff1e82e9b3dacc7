"""What a schedule happens in: folders, a store, the programs, and the faults done to them."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from program import Program

from chaos import power
from chaos.articles import MODEL
from chaos.faults import PLACES, Fault, Impossible
from chaos.shim import Shim
from chaos.stores import SqliteFile, StoreUnderTest

_COMMIT_SECONDS = 5.0  # for a commit to be sent

_MEANWHILE = 30  # articles that are counted while a commit is on its way

_FORGOTTEN_SECONDS = 10.0

TTL = "5s"
"""After so long without a heartbeat, of which there is one every two seconds, Dask takes a worker
for lost."""


class World:
    """All that is there of one schedule. `plants` is a folder of changes to the program."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        store: StoreUnderTest,
        seed: int,
        plants: Path | None,
    ) -> None:
        self.folder = folder
        self.store = store
        self.chance = random.Random(seed)
        self.programs: list[Program] = []
        self.events: list[str] = []
        self.shim = Shim(folder / "shim", [folder / each for each in PLACES])
        for each in self.shim.places:
            each.mkdir()
        paths = [str(each) for each in (plants, models) if each]
        self._environment = {
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
            "XDG_STATE_HOME": str(self.place("state")),
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": TTL,
            **self.shim.environment,
            **store.environment,
        }
        self._lifts: list[tuple[Callable[[], bool], str, Callable[[], None]]] = []
        self._begun = self.started = time.monotonic()

    def place(self, name: str) -> Path:
        """A folder in which files may fail."""
        return self.shim.places[PLACES.index(name)]

    @property
    def staging(self) -> Path:
        """Where a file is counted that is published then."""
        return self.place("state") / "staging.db"

    def note(self, text: str) -> None:
        """Something happened."""
        self.events.append(f"{time.monotonic() - self._begun:6.2f} {text}")

    # Programs.

    def start(self, *arguments: str, kind: type[Program] = Program) -> Program:
        """Start the program, in a folder of its own; its files are named by whole paths."""
        folder = self.folder / f"program-{len(self.programs)}"
        folder.mkdir()
        options = ("--model", MODEL) if arguments[0] != "publish" else ()
        program = kind(folder, *arguments, *options, **self._environment)
        self.programs.append(program)
        self.started = time.monotonic()
        self.note(f"started {arguments[0]} ({len(self.programs) - 1})")
        return program

    @property
    def left(self) -> list[psutil.Process]:
        """All processes of the programs that are still there."""
        return [
            each
            for program in self.programs
            for each in (*_group(program.process.pid), *program.family())
        ]

    def kill_all(self) -> None:
        """The machine is off: no process is left."""
        deadline = time.monotonic() + 30
        while found := self.left:
            for each in found:
                with suppress(psutil.Error):
                    each.kill()
            for program in self.programs:
                program.process.poll()
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes that cannot be killed: {found}")
            time.sleep(0.02)
        for program in self.programs:
            program.process.wait()

    def victim(self, program: Program, name: str) -> psutil.Process:
        """A process of the program, by what it does. Raises Impossible."""
        with suppress(psutil.NoSuchProcess):
            workers = program.workers()
            saver = next((each for each in workers if self._saves(each)), None)
            found = {
                "driver": lambda: [psutil.Process(program.process.pid)],
                "saver": lambda: [saver] if saver else [],
                "extract": lambda: [each for each in workers if each != saver],
                "template": lambda: [
                    each
                    for each in program.family()
                    if each.ppid() == program.process.pid and "forkserver" in str(each.cmdline())
                ],
            }[name]()
            if found:
                return self.chance.choice(sorted(found, key=lambda each: each.pid))
        raise Impossible(f"there is no {name} now")

    def _saves(self, process: psutil.Process) -> bool:
        return self.store.is_open_in(process) or SqliteFile(self.staging).is_open_in(process)

    # Faults that any command can have.

    def inject(self, fault: Fault, program: Program) -> None:
        """Do it. What lasts is lifted by `tick`, later. Raises Impossible."""
        match fault.kind:
            case "kill":
                self.victim(program, fault.target).kill()
            case "stop":
                process = self.victim(program, fault.target)
                process.suspend()
                self._later(fault.value, f"continued {fault.target}", lambda: _resume(process))
            case "full" | "eio" | "nosync":
                self._break(fault)
            case "die":
                self._require_shim()
                place, kind, number, when = fault.target.split("-")
                self.shim.die_at(PLACES.index(place), kind == "sync", int(number), when)
            case "clock":
                self._require_shim()
                self.shim.move_clock(fault.value)
            case "away":
                self.store.go_away()
                self._later(fault.value, "the store is back", self.store.come_back)
            case "lost":
                self.store.lose_answers(self.chance.getrandbits(32))
                self._later(fault.value, "commits are well", self.store.commit_faithfully)
            case "held":
                self._hold_a_commit(fault, program)
            case "power":
                self._require_shim()
                self.cut_power()
            case _:
                raise AssertionError(fault)

    def _hold_a_commit(self, fault: Fault, program: Program) -> None:
        """Kill who has just sent a commit, which arrives when others have long gone on."""
        victim = self.victim(program, fault.target)
        if not self.store.hold_commit().wait(_COMMIT_SECONDS):
            self.store.commit_faithfully()
            raise Impossible("nothing is committed now")
        with suppress(psutil.NoSuchProcess):
            victim.kill()
        more, end = self.store.articles() + _MEANWHILE, time.monotonic() + fault.value

        def is_due() -> bool:
            nonlocal more, end
            if more and self.store.articles() >= more:  # and soon the ledger forgets what is held
                more, end = 0, min(end, time.monotonic() + _FORGOTTEN_SECONDS)
            return time.monotonic() >= end

        self._lifts.append((is_due, "what was held is made", self.store.commit_faithfully))

    def _break(self, fault: Fault) -> None:
        self._require_shim()
        number = PLACES.index(fault.target)
        change = {
            "full": self.shim.fill_disk,
            "eio": self.shim.break_writes,
            "nosync": self.shim.break_syncs,
        }[fault.kind]
        change(number)
        self._later(fault.value, f"mended {fault.target}", lambda: self.shim.mend(number))

    def cut_power(self) -> None:
        """Kill all, and leave of the files what was durable, and a random part of the rest."""
        self.kill_all()
        self.lift()
        power.cut(self.shim.places, self.shim.shadow, self.chance)

    def settle(self) -> None:
        """The files are as durable as they are."""
        power.settle(self.shim.places, self.shim.shadow)

    def _require_shim(self) -> None:
        if not self.shim.environment:
            raise Impossible("there is no C compiler")

    def _later(self, seconds: float, what: str, lift: Callable[[], None]) -> None:
        end = time.monotonic() + seconds
        self._lifts.append((lambda: time.monotonic() >= end, what, lift))

    @property
    def lasts(self) -> bool:
        """Whether there is a fault that is still to be lifted."""
        return bool(self._lifts)

    def tick(self) -> None:
        """Lift what has lasted long enough."""
        for each in list(self._lifts):
            is_due, what, lift = each
            if is_due():
                self._lifts.remove(each)
                lift()
                self.note(what)

    def lift(self) -> None:
        """End all faults."""
        for _, what, lift in self._lifts:
            lift()
            self.note(what)
        self._lifts = []
        self.shim.lift()

    def close(self) -> None:
        """Leave no process."""
        self.lift()
        self.kill_all()
        self.shim.close()
        self.store.close()


def _resume(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGCONT)


def _group(leader: int) -> list[psutil.Process]:
    """The processes of a process group that are there."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(each.pid) == leader and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found
