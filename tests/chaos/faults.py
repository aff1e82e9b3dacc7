"""Faults, and schedules of them: drawn from a seed, and as text that can be given back."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self


class Impossible(Exception):
    """This machine, or this moment, does not allow a fault. It says why."""


COMBINATIONS = (
    ("run-csv", "sqlite"),
    ("serve", "sqlite"),
    ("serve", "firestore"),
    ("publish", "sqlite"),
    ("run-csv", "firestore"),
    ("serve", "sqlite"),
    ("publish", "firestore"),
    ("serve", "postgresql"),
    ("serve", "firestore"),
    ("run-csv", "postgresql"),
)
"""What is run, and into which store; a seed takes the next one."""

_PATTERN = re.compile(r"([a-z]+)(?::([a-z0-9-]+))?(?:=(-?[\d.]+))?@([\d.]+)\+([\d.]+)")


@dataclass(frozen=True)
class Fault:
    """What happens: `kind`, to `target`, with `value` (mostly for how many seconds).

    It happens `after` seconds after a share `at` of the work is done, or has not been for long.
    """

    kind: str
    target: str = ""
    value: float = 0.0
    at: float = 0.0
    after: float = 0.0

    def __str__(self) -> str:
        target = f":{self.target}" if self.target else ""
        value = f"={self.value:g}" if self.value else ""
        return f"{self.kind}{target}{value}@{self.at:.2f}+{self.after:.2f}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The fault with this text. Raises ValueError."""
        found = _PATTERN.fullmatch(text)
        if found is None or found[1] not in KINDS:
            raise ValueError(f"{text!r} is no fault; expected one like kill:saver@0.30+0.10")
        return cls(found[1], found[2] or "", float(found[3] or 0), float(found[4]), float(found[5]))


@dataclass(frozen=True)
class Schedule:
    """What is run, into which store, and what happens to it. `seed` decides what is left open."""

    command: str
    store: str
    seed: int
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return " ".join([f"{self.command}/{self.store}/{self.seed}", *map(str, self.faults)])

    @classmethod
    def parse(cls, text: str) -> Self:
        """The schedule with this text. Raises ValueError."""
        first, *faults = text.split()
        command, store, seed = first.split("/")
        return cls(command, store, int(seed), tuple(map(Fault.parse, faults)))

    def without(self, start: int, end: int) -> Schedule:
        """The same with fewer faults."""
        return replace(self, faults=self.faults[:start] + self.faults[end:])


Draw = Callable[[random.Random, "Schedule"], tuple[str, float]]
"""A fault's target and value."""

PLACES = ("store", "data", "rejects", "state")
"""Folders: the SQLite store; a service's spool and rejects; a run's rejects; what else is kept."""


def _victim(chance: random.Random, schedule: Schedule) -> tuple[str, float]:
    if schedule.command == "publish":
        return "driver", 0.0
    return chance.choice(("driver", "saver", "saver", "extract", "extract", "template")), 0.0


def _stopped(chance: random.Random, schedule: Schedule) -> tuple[str, float]:
    """Shorter and longer than the limits: a batch's 6 seconds in a run, Dask's 5 for a worker."""
    return _victim(chance, schedule)[0], chance.choice((0.2, 1.0, 2.0, 7.0))


def _place(chance: random.Random, schedule: Schedule) -> str:
    return chance.choice(_PLACES_OF[schedule.command, schedule.store])


_PLACES_OF = {
    ("run-csv", "sqlite"): ("store", "store", "rejects"),
    ("run-csv", "firestore"): ("state", "state", "rejects"),
    ("serve", "sqlite"): ("store", "data"),
    ("serve", "firestore"): ("data",),
    ("publish", "sqlite"): ("store", "data"),
    ("publish", "firestore"): ("data",),
    ("serve", "postgresql"): ("data",),
    ("run-csv", "postgresql"): ("rejects",),
}


def _broken(chance: random.Random, schedule: Schedule) -> tuple[str, float]:
    return _place(chance, schedule), chance.choice((0.2, 1.0, 2.0))


def _operation(chance: random.Random, schedule: Schedule) -> tuple[str, float]:
    """The nth write or fsync of a place, and when of it the process dies."""
    place, kind = _place(chance, schedule), chance.choice(("write", "sync"))
    most = 40 if kind == "write" else 6
    when = chance.choice(("before", "half", "after"))
    return f"{place}-{kind}-{chance.randint(1, most)}-{when}", 0.0


def _jump(chance: random.Random, schedule: Schedule) -> tuple[str, float]:
    return "", chance.choice((-90_000.0, -3_600.0, -30.0, 30.0, 3_600.0, 90_000.0))


def _sender(chance: random.Random, schedule: Schedule) -> tuple[str, float]:
    """Who dies of those that commit, and how much later at most the commit arrives: that of a
    service does when more has been counted.
    """
    publish = schedule.command == "publish"
    victim = "driver" if publish else chance.choice(("driver", "saver", "saver"))
    return victim, 45.0 if schedule.command == "serve" else chance.choice((1.0, 10.0))


def _for_a_while(chance: random.Random, schedule: Schedule) -> tuple[str, float]:
    return "", chance.choice((1.0, 2.0, 4.0))


def _nothing(chance: random.Random, schedule: Schedule) -> tuple[str, float]:
    return "", 0.0


@dataclass(frozen=True)
class Kind:
    """How often a kind of fault is drawn, with which targets and values, and for what."""

    weight: int
    draw: Draw
    commands: tuple[str, ...] = ("run-csv", "serve", "publish")
    stores: tuple[str, ...] = ("sqlite", "firestore", "postgresql")

    def suits(self, schedule: Schedule) -> bool:
        """Whether it may happen there."""
        return schedule.command in self.commands and schedule.store in self.stores


KINDS: Mapping[str, Kind] = {
    "kill": Kind(5, _victim),
    "stop": Kind(3, _stopped),
    "die": Kind(4, _operation),
    "full": Kind(2, _broken),
    "eio": Kind(2, _broken),
    "nosync": Kind(1, _broken),
    "power": Kind(4, _nothing),
    "clock": Kind(1, _jump),
    "away": Kind(3, _for_a_while, stores=("firestore", "postgresql")),
    "lost": Kind(3, _for_a_while, stores=("firestore",)),
    "held": Kind(8, _sender, stores=("firestore",)),
    "second": Kind(1, _nothing, commands=("run-csv", "serve")),
    "restored": Kind(1, _nothing, commands=("serve",)),
}


def drawn(seed: int) -> Schedule:
    """The schedule of a seed."""
    command, store = COMBINATIONS[seed % len(COMBINATIONS)]
    chance = random.Random(seed)
    schedule = Schedule(command, store, seed, ())
    kinds = {kind: each for kind, each in KINDS.items() if each.suits(schedule)}
    found = []
    for at in sorted(chance.uniform(0.0, 0.95) for _ in range(chance.randint(2, 5))):
        [kind] = chance.choices(list(kinds), [each.weight for each in kinds.values()])
        target, value = kinds[kind].draw(chance, schedule)
        found.append(Fault(kind, target, value, round(at, 2), round(chance.uniform(0, 0.3), 2)))
    return replace(schedule, faults=tuple(found))
