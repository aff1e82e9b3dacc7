"""Of two savers of one run the later one goes on, whatever the earlier one was about to do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import grpc
import pytest
from emulated import Proxy, Refused, content

from daskingest.counts import Counts
from daskingest.ledger import BatchId, Counted
from daskingest.packed import CompressedCounts, PackedCounts
from daskingest.pipeline.saver import Saver
from daskingest.stores import AlreadyCommitted, Replaced, Store, open_store


@pytest.fixture(params=["sqlite", "firestore", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path')}/store.db"
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


def counts() -> PackedCounts:
    found = Counts()
    found.add_article("P", [("berlin", "GPE")])
    return found.packed()


def compressed() -> CompressedCounts:
    return CompressedCounts.of(counts())


@pytest.fixture
def store(url: str) -> Store:
    return open_store(url, create=True)


def test_runs_are_taken_over(store: Store) -> None:
    assert store.hold("r") is None
    first = store.take_over("r", "one")
    assert store.hold("r") == first
    assert (first.run, first.owner, first.watermark) == ("r", "one", 0)
    second = store.take_over("r", "two")
    assert second.epoch > first.epoch
    assert store.hold("r") == second
    assert store.hold("other") is None


def test_commits_and_forgetting_are_refused_when_the_run_was_taken_over(store: Store) -> None:
    first, other = store.take_over("r", "one"), store.take_over("q", "one")
    one, two = BatchId("r", "1"), BatchId("r", "2")
    store.commit(counts(), {one: Counted()}, [first, other])
    second = store.take_over("r", "two")
    with pytest.raises(Replaced) as refused:
        store.commit(counts(), {two: Counted()}, [other, first])
    assert (refused.value.run, refused.value.owner) == ("r", "two")
    with pytest.raises(Replaced):
        store.forget([one], first)
    assert set(store.ledger("r")) == {one}
    assert [each.count for each in store.publications()] == [1]
    store.commit(counts(), {two: Counted()}, [second, other])
    store.forget([one], second)
    assert set(store.ledger("r")) == {two}


def test_a_run_that_nobody_holds_any_more_is_refused(store: Store) -> None:
    hold = store.take_over("r", "one")
    lost = type(hold)(run="r", epoch=hold.epoch - 1, owner="one")
    with pytest.raises(Replaced):
        store.commit(counts(), {BatchId("r", "1"): Counted()}, [lost])
    assert store.publications() == []


async def trial(url: str, number: int) -> None:
    """The first saver waits between what it looked at and its commit: for a lock, for its pace, in
    a process that was stopped. Meanwhile another one does it all, and the ledger forgets it.
    """
    run = f"run {number}"
    first, second = Saver(url, 3600, "one"), Saver(url, 3600, "two")
    await first.take_over(run)
    reached, gate = threading.Event(), threading.Event()
    store = first._store.store
    assert store is not None
    _at_the_barrier(store, reached.set, gate.wait)
    await first.add(BatchId(run, "1"), compressed(), Counted())
    draining = asyncio.create_task(first.drain())
    await asyncio.to_thread(reached.wait)
    assert await second.take_over(run) == {}
    await second.add(BatchId(run, "1"), compressed(), Counted())
    await second.drain()
    await second.forget(run, 1)
    await second.add(BatchId(run, "2"), compressed(), Counted())
    await second.drain()
    gate.set()
    with pytest.raises(Replaced):
        await draining
    with pytest.raises(Replaced):
        await first.add(BatchId(run, "3"), compressed(), Counted())
    for each in (first, second):
        assert each._store.store is not None
        each._store.store.close()
        each._store._thread.shutdown()


def _at_the_barrier(store: Store, reached: Callable[[], None], wait: Callable[[], object]) -> None:
    commit = store.commit

    def late(*arguments: object) -> int:
        reached()
        wait()
        return commit(*arguments)  # type: ignore[arg-type]

    store.commit = late  # type: ignore[method-assign, assignment]


def test_a_saver_that_was_replaced_while_it_waited_doubles_nothing(url: str) -> None:
    trials = 100
    store = open_store(url, create=True)

    async def go() -> None:
        for number in range(trials):
            await trial(url, number)

    asyncio.run(go())
    assert content(url) == ({"p": 2 * trials}, {("p", "berlin", "GPE"): 2 * trials})
    ledgers = [store.ledger(f"run {number}") for number in range(trials)]
    assert [set(each) for each in ledgers] == [
        {BatchId(f"run {number}", "2")} for number in range(trials)
    ]


def test_what_is_forgotten_leaves_the_ledger_when_nothing_more_comes(url: str) -> None:
    async def go() -> None:
        saver = Saver(url, 0.0, "one")
        await saver.add(BatchId("r", "1"), compressed(), Counted())
        await saver.drain()
        await saver.forget("r", 1)
        with open_store(url) as store:
            async with asyncio.timeout(60):
                while store.ledger("r"):
                    await asyncio.sleep(0.01)

    asyncio.run(go())
    assert content(url)[0] == {"p": 1}


def test_the_ledger_stays_as_large_as_what_is_in_flight(url: str) -> None:
    """And a late copy of what it has forgotten is not counted."""

    async def go() -> None:
        saver = Saver(url, 3600, "one")
        await saver.take_over("r")
        for number in range(1, 31):
            await saver.add(BatchId("r", str(number)), compressed(), Counted())
            await saver.drain()
            if number > 3:
                await saver.forget("r", number - 3)
                await saver.add(BatchId("r", str(number - 3)), compressed(), Counted())
        ledger = open_store(url).ledger("r")
        assert set(ledger) == {BatchId("r", str(number)) for number in (27, 28, 29, 30)}
        again = Saver(url, 3600, "two")
        assert await again.take_over("r") == ledger
        await again.add(BatchId("r", "26"), compressed(), Counted())
        await again.add(BatchId("r", "27"), compressed(), Counted())
        await again.drain()

    asyncio.run(go())
    assert content(url)[0] == {"p": 30}


def test_a_late_copy_of_a_commit_is_not_applied(firestore_url: str, proxy: Proxy) -> None:
    """Whose answer got lost, and whose entry has left the ledger meanwhile."""
    sent: list[Callable[[], bytes]] = []

    def keep(commit: Callable[[], bytes]) -> bytes:
        sent.append(commit)
        return commit()

    proxy.fault = keep
    with open_store(firestore_url, create=True) as store:
        hold, sent[:] = store.take_over("r", "one"), []
        store.commit(counts(), {BatchId("r", "1"): Counted()}, [hold])
        settled = replace(hold, watermark=1, settled=(BatchId("r", "1"),))
        store.commit(counts(), {BatchId("r", "2"): Counted()}, [settled])
        for late in list(sent):
            with pytest.raises(grpc.RpcError):
                late()
        assert set(store.ledger("r")) == {BatchId("r", "2")}
        assert store.hold("r") == replace(hold, watermark=1)
    assert content(firestore_url)[0] == {"p": 2}


def test_a_commit_whose_answer_got_lost_is_known(firestore_url: str, proxy: Proxy) -> None:
    with open_store(firestore_url, create=True) as store:
        hold = store.take_over("r", "one")
        answers = iter((True, False))

        def lose(commit: Callable[[], bytes]) -> bytes:
            answer = commit()
            if next(answers, True):
                return answer
            raise Refused(grpc.StatusCode.UNAVAILABLE)

        proxy.fault = lose
        store.commit(counts(), {BatchId("r", "1"): Counted()}, [hold])
        with pytest.raises(AlreadyCommitted):
            store.commit(counts(), {BatchId("r", "2"): Counted()}, [hold])
        answers = iter((False,))
        settled = replace(hold, watermark=2, settled=(BatchId("r", "1"), BatchId("r", "2")))
        store.commit(PackedCounts(), {}, [settled])
        assert not store.ledger("r")
        store.commit(counts(), {BatchId("r", "3"): Counted()}, [replace(settled, settled=())])
    assert content(firestore_url)[0] == {"p": 3}


def test_a_late_copy_of_a_take_over_gives_nothing_back(firestore_url: str, proxy: Proxy) -> None:
    sent: list[Callable[[], bytes]] = []

    def keep(commit: Callable[[], bytes]) -> bytes:
        sent.append(commit)
        return commit()

    with open_store(firestore_url, create=True) as store, open_store(firestore_url) as other:
        proxy.fault = keep
        hold = store.take_over("r", "one")
        proxy.fault = lambda commit: commit()
        store.commit(counts(), {BatchId("r", "1"): Counted()}, [hold])
        other.take_over("r", "two")
        sent[-1]()
        with pytest.raises(Replaced):
            store.commit(counts(), {BatchId("r", "2"): Counted()}, [hold])
    assert content(firestore_url)[0] == {"p": 1}
