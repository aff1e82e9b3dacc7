"""A data directory that was restored from a backup, or copied, is noticed before it is used."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from daskingest.articles import Article
from daskingest.errors import UsageError
from daskingest.ledger import BatchId, Counted
from daskingest.packed import CompressedCounts, PackedCounts
from daskingest.pipeline.saver import Saver
from daskingest.service.micro_batches import Limits
from daskingest.service.restored import check_spool
from daskingest.service.spool import Spool
from daskingest.shards import shard_run
from daskingest.stores import open_store


class Place(NamedTuple):
    """A store, and a data directory."""

    url: str
    folder: Path
    shards: int = 1

    def runs(self, run: str) -> list[str]:
        """Those that the store has of a run."""
        return [shard_run(run, each) for each in range(self.shards)] if self.shards > 1 else [run]


@pytest.fixture(params=["sqlite", "shards", "firestore", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "shards":
        return Place(f"sqlite:///{tmp_path}/store.db", tmp_path / "data", 3)
    if request.param == "sqlite":
        return Place(f"sqlite:///{tmp_path}/store.db", tmp_path / "data")
    return Place(request.getfixturevalue(f"{request.param}_url"), tmp_path / "data")


@contextmanager
def opened(place: Place, take_over: bool = False) -> Iterator[Spool]:
    """The spool, as a service opens it. Raises UsageError."""
    with closing(Spool(place.folder)) as spool, open_store(place.url, create=True) as store:
        check_spool(spool, store, place.folder, take_over)
        yield spool


async def serve(
    spool: Spool, place: Place, owner: str, articles: int, counted: int, take_up: bool = True
) -> None:
    """What a service does: take articles, a batch each, and count and forget the first of them."""
    saver = Saver(place.url, 3600, owner)
    await spool.add_owner(owner)
    runs = place.runs(spool.id)
    await saver.begin(place.shards, spool.id)
    await saver.take_over(*runs)
    await spool.keep_owner(owner)
    await spool.add([Article(f"text {number}", "P") for number in range(articles)])
    await spool.release(articles, 0, Limits(1, 10**6, 0.0), drain=True)
    for number in spool.unfinished()[:counted]:
        for run in runs:
            await saver.add(BatchId(run, str(number)), CompressedCounts(), Counted())
        await saver.drain()
        await spool.forget([number])
        for run in runs:
            await saver.forget(run, spool.forgotten_up_to)


def test_the_same_directory_goes_on(place: Place) -> None:
    for owner in ("one", "two", "three"):
        with opened(place) as spool:
            asyncio.run(serve(spool, place, owner, articles=3, counted=2))


def test_a_start_that_failed_half_way_is_no_other_directory(place: Place) -> None:
    with opened(place) as spool:
        asyncio.run(serve(spool, place, "one", articles=3, counted=1))
    with opened(place) as spool:
        asyncio.run(spool.add_owner("two"))  # and then the store was away
    with opened(place) as spool:
        asyncio.run(spool.add_owner("three"))
        open_store(place.url, create=True).take_over(spool.id, "three")  # and then it was killed
    with opened(place) as spool:
        assert spool.articles == 2


@pytest.mark.parametrize("counted", [0, 1, 3])
def test_a_directory_that_was_restored_is_refused(place: Place, counted: int) -> None:
    """Also when no number tells: what was counted elsewhere since may not be known by number."""
    with opened(place) as spool:
        asyncio.run(serve(spool, place, "one", articles=2, counted=1))
    backup = shutil.copytree(place.folder, place.folder.with_name("backup"))
    with opened(place) as spool:
        asyncio.run(serve(spool, place, "two", articles=3, counted=counted))
    shutil.rmtree(place.folder)
    shutil.copytree(backup, place.folder)
    refused = pytest.raises(UsageError, match="was restored from a backup, or is a copy")
    with refused, opened(place):
        pass
    with closing(Spool(place.folder)) as spool:
        before, articles = spool.id, spool.articles
    with opened(place, take_over=True) as spool:
        assert spool.id != before
        assert spool.articles == articles
        asyncio.run(serve(spool, place, "three", articles=1, counted=2))
    with opened(place):
        pass


def test_a_directory_of_an_earlier_version_is_refused_by_its_numbers(place: Place) -> None:
    """Its spool and its store know nothing of owners."""
    with closing(Spool(place.folder)) as spool:
        asyncio.run(spool.add([Article("text", "P")]))
        asyncio.run(spool.release(1, 1, Limits(1, 10**6, 0.0), drain=True))
        with open_store(place.url, create=True) as store:
            store.commit(PackedCounts(), {BatchId(spool.id, "1"): Counted()})
            check_spool(spool, store, place.folder, take_over=False)
            store.commit(PackedCounts(), {BatchId(spool.id, "2"): Counted()})
            with pytest.raises(UsageError, match="has its batch 2, but it has made only 1"):
                check_spool(spool, store, place.folder, take_over=False)
