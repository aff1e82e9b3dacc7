"""Shards: which rows are in which, how a run has several, and what earlier stores have."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskingest.articles import Article, Reject
from daskingest.ledger import (
    BatchId,
    Counted,
    Ledger,
    Shards,
    Split,
    entry_to_json,
    read_ledger,
    shards_in,
)
from daskingest.packed import CompressedCounts, PackedCounts
from daskingest.pipeline.batch import Batch, planned
from daskingest.pipeline.saver import Saver
from daskingest.pipeline.saver_places import savers_note, trouble_of
from daskingest.shards import run_and_shard, shard_of, shard_run
from daskingest.stores import Hold, Replaced, open_store
from daskingest.stores.sharded import in_all_shards
from daskingest.tally import Tally

NAMES = ["The Post", "THE  POST", "Süddeutsche Zeitung", "A", "B", "C", "odd \ud800 name"]


def test_a_publication_is_in_one_shard_however_it_is_written() -> None:
    """And always: a store that is read in ten years has it there, too."""
    found = [shard_of(Article("text", name), 5) for name in NAMES]
    assert found == [4, 4, 2, 3, 3, 0, 2]
    assert [shard_of(Article("text", name), 1) for name in NAMES] == [0] * len(NAMES)
    assert shard_of(Reject("no content"), 5) == 0


def test_what_shards_are_called() -> None:
    whole = BatchId("r+12", "7", (0, 1))
    part = whole.of_shard(3)
    assert str(part) == "r+12~3:7.0.1"
    assert BatchId.parse(str(part)) == part
    assert (part.shard, whole.shard) == (3, 0)
    assert part.given == whole.given == BatchId("r+12", "7")
    assert run_and_shard(shard_run("r", 12)) == ("r", 12)


def test_an_earlier_version_refuses_a_run_in_shards() -> None:
    """It reads each entry as a JSON object, and says that it cannot read this one."""
    entry = BatchId.shards("r")
    text = entry_to_json(Shards(3))
    assert text == '["shards", 3]'
    ledger = read_ledger({str(entry): text})
    assert shards_in(ledger, "r") == 3
    assert shards_in({}, "r") == 1
    assert not entry.is_batch


@dataclass(frozen=True)
class Numbers:
    """Rows with numbers, of some publications."""

    count: int
    size: int = 10
    nbytes: int = 0

    def rows(self) -> Iterator[Article | Reject]:
        return (Article(str(number), f"P{number % 5}") for number in range(self.count))


def contents(batch: Batch) -> list[str]:
    return [each.content for each in batch.rows() if isinstance(each, Article) and batch.has(each)]


@given(st.data(), st.integers(1, 30), st.sampled_from([1, 2, 3, 5]))
def test_whatever_the_shards_have_the_rest_is_planned(
    data: st.DataObject, rows: int, shards: int
) -> None:
    """Each row is in what the ledger has or in what is planned, and in one of them, once."""
    batch = Batch(BatchId("r", "1"), Numbers(rows)).in_shards(shards)
    ledger: Ledger = {}
    counted: Counter[str] = Counter()

    def happened(each: Batch) -> None:
        """What became of a batch in a shard: nothing yet, or it was counted, or cut."""
        many, middle = len(contents(each)), each.measure().middle
        match data.draw(st.sampled_from(["nothing", "counted", "cut"])):
            case "counted":
                ledger[each.id] = Counted(Tally(rows=many))
                counted.update(contents(each))
            case "cut" if many > 1:
                ledger[each.id] = Split(middle)
                for part in each.parts(middle):
                    assert contents(part)
                    happened(part)

    for each in batch.apart():
        happened(each)
    left = dict(ledger)
    found = list(planned([batch], left))
    assert not left
    done = [each for each, tally in found if tally is not None]
    open_rows = Counter(row for each, tally in found if tally is None for row in contents(each))
    assert Counter(row for each in done for row in contents(each)) == counted
    assert counted + open_rows == Counter(map(str, range(rows)))
    if not ledger:
        assert found == [(batch, None)]


def test_the_limit_is_before_the_same_row_in_each_shard() -> None:
    batch = Batch(BatchId("r", "1"), Numbers(20), only=7).in_shards(3)
    found = [each for each, _ in planned([batch], {})]
    assert [each.id.run for each in found] == ["r~0", "r~1", "r~2"]
    heads = [part for each in found for part in each.parts(7)]
    assert {row for each in heads for row in contents(each)} == set(map(str, range(7)))


def test_a_new_run_gets_shards_and_keeps_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"

    async def go() -> None:
        assert await Saver(url, 3600, "one").begin(3, "r") == {BatchId.shards("r"): Shards(3)}
        assert await Saver(url, 3600, "two").begin(2, "r") == {BatchId.shards("r"): Shards(3)}
        saver = Saver(url, 3600, "three")
        await saver.take_over("r~0", "r~2")
        batch = BatchId("r", "1")
        await saver.add(batch.of_shard(2), CompressedCounts(), Counted(Tally(rows=2)))
        await saver.drain()

    asyncio.run(go())
    with open_store(url) as store:
        assert set(store.ledger("r")) == {BatchId.shards("r")}
        assert set(in_all_shards(store, "r")) == {BatchId.shards("r"), BatchId("r~2", "1")}
        assert (store.begun(), store.finished()) == ({}, {})


def test_a_run_that_was_begun_without_shards_gets_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with open_store(url, create=True) as store:
        store.commit(PackedCounts(), {BatchId("file", "0"): Counted()})
        hold = store.take_over("spool", "me")
        # All that was counted is forgotten: only the watermark tells that there was something.
        store.commit(PackedCounts(), {}, [Hold("spool", hold.epoch, "me", watermark=4)])

    async def go() -> None:
        assert await Saver(url, 3600, "one").begin(3, "file") == {BatchId("file", "0"): Counted()}
        assert await Saver(url, 3600, "one").begin(3, "spool") == {}

    asyncio.run(go())


def test_one_shard_of_a_run_may_be_with_another_saver(tmp_path: Path) -> None:
    """A saver that was replaced in one of its shards commits nothing of that one."""
    url = f"sqlite:///{tmp_path}/a.db"

    async def go() -> None:
        first, second = Saver(url, 3600, "one"), Saver(url, 3600, "two")
        await first.begin(2, "r")
        await first.take_over("r~0")
        await second.take_over("r~1")
        batch = BatchId("r", "1")
        await first.add(batch.of_shard(0), CompressedCounts(), Counted())
        await second.add(batch.of_shard(1), CompressedCounts(), Counted())
        await first.drain()
        await second.drain()
        third = Saver(url, 3600, "three")
        await third.take_over("r~1")
        other = BatchId("r", "2")
        await first.add(other.of_shard(0), CompressedCounts(), Counted())
        await first.drain()
        await second.add(other.of_shard(1), CompressedCounts(), Counted())
        with pytest.raises(Replaced):
            await second.drain()

    asyncio.run(go())
    with open_store(url) as store:
        assert {str(each) for each in in_all_shards(store, "r")} == {
            *("r:shards", "r~0:1", "r~0:2", "r~1:1"),
        }


def test_which_saver_is_in_trouble_is_said_where_not_all_are() -> None:
    assert trouble_of(["", ""]) == ""
    assert trouble_of(["disk full"]) == "disk full"
    assert trouble_of(["disk full", "disk full"]) == "disk full"
    assert trouble_of(["", "disk full"]) == "saver 2 of 2: disk full"


def test_where_savers_in_number_do_not_help() -> None:
    assert "one writer at a time" in savers_note(4, "sqlite:///a.db")
    assert savers_note(1, "sqlite:///a.db") == savers_note(4, "firestore://p") == ""
