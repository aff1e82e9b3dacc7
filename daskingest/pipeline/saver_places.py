"""The driver's savers in number: each has a place, and of every run the shards that fall to it.

A run has as many shards as there were savers when it was begun. Now there may be more or fewer:
then some have nothing of it, or several of its shards.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

from distributed import Client

from daskingest.ledger import Ledger, shards_in
from daskingest.pipeline.actors import SaverLost
from daskingest.pipeline.saver_client import SaverClient, SaverRef
from daskingest.pipeline.saver_numbers import place_of
from daskingest.pipeline.savers import Savers, Work
from daskingest.shards import shard_run
from daskingest.stores import Replaced

log = logging.getLogger(__name__)


class SaverPlaces:
    """As many savers as the work has; `started` is called with each, and its place."""

    def __init__(
        self, client: Client, work: Work, started: Callable[[SaverClient, int], None]
    ) -> None:
        numbers = itertools.count(1)

        def at(place: int) -> Savers:
            return Savers(client, work, lambda saver: started(saver, place), numbers, self.workers)

        self._places = [at(place) for place in range(work.savers)]
        self._shards: dict[str, int] = {}  # of the runs that are held

    @property
    def awaited(self) -> bool:
        """Whether a saver is needed that is not there yet."""
        return any(each.awaited for each in self._places)

    @property
    def refs(self) -> tuple[SaverRef, ...] | None:
        """A task's access to them, by place; None while one is being replaced."""
        found = [each.current.ref for each in self._places if each.current is not None]
        return tuple(found) if len(found) == len(self._places) else None

    def workers(self) -> list[str]:
        """The addresses of the workers that they are on."""
        return [each.current.worker for each in self._places if each.current is not None]

    async def ready(self) -> list[int]:
        """The numbers of the current savers, by place. Those that are missing are started."""
        numbers = [await self.ready_at(place) for place in range(len(self._places))]
        if (workers := len({*self.workers()})) < len(numbers):
            log.warning("%d savers share %d of the cluster's workers", len(numbers), workers)
        return numbers

    def with_number(self, number: int) -> SaverClient:
        """The saver with this number. Raises SaverLost if it is not a current one."""
        for each in self._places:
            with suppress(SaverLost):
                return each.with_number(number)
        raise SaverLost("it was replaced")

    async def ready_at(self, place: int) -> int:
        """The number of the current saver in a place, which is started if it is missing."""
        return (await self._places[place].ready()).number

    def is_current(self, saver: SaverClient, place: int) -> bool:
        """Whether it was not replaced in its place."""
        return self._places[place].current is saver

    def lost(self, saver: SaverClient, place: int, error: Exception) -> None:
        """Drop it. Raises TakenOver if it was replaced by another program's."""
        if isinstance(error, Replaced):
            self._places[place].check_replaced(error)
        self._places[place].drop(saver)

    async def take_over(self, *runs: str) -> Ledger:
        """Hold runs from now on. Returns what the store's ledger has of them then, in all shards.

        One of which the store has nothing gets as many shards as there are savers.
        """
        found = Ledger()
        for place in range(len(self._places)):
            found |= await self.take_over_at(place, *runs)
        return found

    async def take_over_at(self, place: int, *runs: str) -> Ledger:
        """The same for the shards that the saver in one place has. The first one has what the
        ledger says of the runs themselves.
        """
        savers, found = self._places[place], Ledger()
        if place == 0:
            found = await savers.begin(len(self._places), *runs)
            self._shards |= {run: shards_in(found, run) for run in runs}
            _tell_others(self._shards, runs, len(self._places))
        if mine := [shard for run in runs for shard in self._in_shards(run, place)]:
            found |= await savers.take_over(*mine)
        return found

    def _in_shards(self, run: str, place: int) -> Collection[str]:
        """The names of a run's shards that are in a place, if it has several."""
        shards = self._shards[run]
        all_places = len(self._places)
        mine = [each for each in range(shards) if place_of(each, all_places) == place]
        return [shard_run(run, each) for each in mine] if shards > 1 else []

    async def enter(self, entries: Ledger) -> None:
        """Put entries of the runs themselves into the ledger. See `Saver.enter`."""
        await self._places[0].enter(entries)

    async def forget(self, run: str, up_to: int) -> None:
        """See `Saver.forget`: in each shard."""
        for place, each in enumerate(self._places):
            shards = self._in_shards(run, place) or ([run] if place == 0 else [])
            with suppress(SaverLost):
                if each.current is not None:
                    for name in shards:
                        await each.current.forget(name, up_to)


def _tell_others(shards: Mapping[str, int], runs: Collection[str], savers: int) -> None:
    for run in runs:
        if shards[run] != savers:
            told = {"run": run, "shards": shards[run], "savers": savers}
            log.info("going on with the shards that it was begun with", extra=told)


def trouble_of(troubles: Sequence[str]) -> str:
    """What keeps the savers from committing, if anything does; which of them, where not all."""
    for number, trouble in enumerate(troubles, 1):
        if trouble:
            few = not all(troubles)
            return f"saver {number} of {len(troubles)}: {trouble}" if few else trouble
    return ""


def savers_note(savers: int, store_url: str) -> str:
    """What is to be said of savers in number that can't help, into this store."""
    if savers == 1 or not store_url.startswith("sqlite:"):
        return ""
    return (
        f"--savers {savers} helps with stores that take several writers, such as postgresql://; "
        "an SQLite file takes one writer at a time"
    )
