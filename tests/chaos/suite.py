"""Schedules one by one: done, and when they fail, shrunk to the shortest that still does."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from chaos.articles import write_model
from chaos.faults import Schedule
from chaos.firestore import Emulator
from chaos.postgresql import PostgresqlServer
from chaos.publish import Publish
from chaos.run_csv import RunCsv
from chaos.scenario import Broken, Scenario, emptied
from chaos.serve import Serve
from chaos.stores import SqliteFile, StoreUnderTest
from chaos.world import World

SHRINK_SECONDS = 240.0

_SCENARIOS: dict[str, type[Scenario]] = {"run-csv": RunCsv, "serve": Serve, "publish": Publish}


@dataclass
class Outcome:
    """What became of a schedule: `problem` is empty if all holds."""

    schedule: Schedule
    problem: str = ""
    events: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        told = "\n  ".join([self.problem, *self.events])
        return f"{self.schedule}\n  {told}"


class Suite:
    """Runs schedules in a folder. `plants` is a folder of changes to the program."""

    def __init__(self, folder: Path, plants: Path | None = None) -> None:
        self._folder = folder
        self._plants = plants
        self._models = folder / "models"
        self._models.mkdir(parents=True)
        write_model(self._models)
        self._emulator = Emulator()
        self._postgresql = PostgresqlServer()
        self._count = 0

    def run(self, schedule: Schedule) -> Outcome:
        """Do a schedule, once. Raises Impossible where its store is not installed."""
        begun = time.monotonic()
        self._count += 1
        with emptied(self._folder / f"schedule-{self._count}") as folder:
            world = World(
                folder, self._models, self._store(schedule, folder), schedule.seed, self._plants
            )
            outcome = Outcome(schedule, events=world.events)
            with closing(world):
                try:
                    with closing(_SCENARIOS[schedule.command](world, schedule)) as scenario:
                        scenario.go()
                except Broken as error:
                    outcome.problem = str(error)
                except Exception:
                    outcome.problem = traceback.format_exc()
        outcome.seconds = time.monotonic() - begun
        return outcome

    def _store(self, schedule: Schedule, folder: Path) -> StoreUnderTest:
        if schedule.store == "firestore":
            return self._emulator.store()
        if schedule.store == "postgresql":
            return self._postgresql.store()
        return SqliteFile(folder / "store" / "counts.db")

    def close(self) -> None:
        """End what was started for the stores."""
        self._emulator.close()
        self._postgresql.close()

    def shrunk(self, failed: Outcome, seconds: float = SHRINK_SECONDS) -> Outcome:
        """The shortest part of a schedule that fails, too, as far as is found in time."""
        return shrunk(failed, self.run, time.monotonic() + seconds)


def shrunk(failed: Outcome, run: Callable[[Schedule], Outcome], deadline: float) -> Outcome:
    """Drop faults, halves first and then one by one, for as long as it still fails."""
    size = max(1, len(failed.schedule.faults) // 2)
    while True:
        start, smaller = 0, False
        while start < len(failed.schedule.faults):
            if time.monotonic() > deadline:
                return failed
            outcome = run(failed.schedule.without(start, start + size))
            if outcome.problem:
                failed, smaller = outcome, True
            else:
                start += size
        if size == 1 and not smaller:
            return failed
        size = max(1, size // 2)
