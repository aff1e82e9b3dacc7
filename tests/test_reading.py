"""Reading a store: by names as people type them, and from an event loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from pathlib import Path

import pytest

from daskingest.counts import Counts
from daskingest.errors import StoreError, UsageError
from daskingest.ledger import BatchId, Counted
from daskingest.stores import Publication, ReadableStore, open_store, reading
from daskingest.stores.reading import ReadPool, find_publication

NAMES = ["The Washington Post", "The New York Times", "Vox", "Reuters"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/store.db"
    counts = Counts()
    for times, name in enumerate(NAMES, 1):
        for _ in range(times):
            counts.add_article(name, [])
    with open_store(url, create=True) as store:
        store.commit(counts.packed(), {BatchId("r", "1"): Counted()})
    return url


def test_a_publication_is_found_however_it_is_typed(url: str) -> None:
    with open_store(url) as store:
        for name in ("Vox", "VOX", "  vox "):
            assert find_publication(store, name) == Publication("vox", "Vox", 3)


def test_similar_names_are_suggested(url: str) -> None:
    with open_store(url) as store:
        with pytest.raises(UsageError, match="mean 'The Washington Post'"):
            find_publication(store, "washington post")
        with pytest.raises(UsageError) as error:  # nothing like it: the largest
            find_publication(store, "#!")
    assert str(error.value) == (
        "no publication '#!'; did you mean 'Reuters' or 'Vox' or 'The New York Times'?"
    )


def test_an_empty_store_is_said_to_be_empty(tmp_path: Path) -> None:
    with (
        open_store(f"sqlite:///{tmp_path}/empty.db", create=True) as store,
        pytest.raises(UsageError, match="no publication 'Vox': the store is empty"),
    ):
        find_publication(store, "Vox")


def test_readers_read_on_threads_of_their_own(url: str) -> None:
    async def go() -> list[tuple[int, str]]:
        def count(store: ReadableStore) -> tuple[int, str]:
            return len(store.publications()), threading.current_thread().name

        return await asyncio.gather(*(read_pool.read(count) for _ in range(20)))

    with closing(ReadPool(url)) as read_pool:
        found = asyncio.run(go())
    assert {count for count, _ in found} == {len(NAMES)}
    assert all(name.startswith("reader") for _, name in found)


def test_a_store_that_does_not_answer_keeps_nobody_waiting(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when all threads read from it; once it answers, they do."""
    monkeypatch.setattr(reading, "ANSWER_SECONDS", 0.2)
    answers = threading.Event()

    async def go() -> None:
        silent = (read_pool.read(lambda store: answers.wait()) for _ in range(20))
        for each in await asyncio.gather(*silent, return_exceptions=True):
            assert str(each) == "the store has not answered for 0 seconds"
        answers.set()
        monkeypatch.setattr(reading, "ANSWER_SECONDS", 30.0)
        assert await read_pool.read(lambda store: len(store.publications())) == len(NAMES)
        read_pool.close()
        with pytest.raises(StoreError, match="about to end"):
            await read_pool.read(lambda store: store.publications())

    read_pool = ReadPool(url)
    asyncio.run(go())


def test_a_store_that_comes_later_is_read_then(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/later.db"

    async def go() -> None:
        with pytest.raises(StoreError, match="no store at"):
            await read_pool.read(lambda store: store.publications())
        open_store(url, create=True).close()
        assert await read_pool.read(lambda store: store.publications()) == []

    with closing(ReadPool(url)) as read_pool:
        asyncio.run(go())
