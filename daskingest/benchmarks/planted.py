"""A file of made-up articles with marked names, and what counting it must come to."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from daskingest.sample.learned import learn
from daskingest.sample.maker import Maker
from daskingest.sample.names import Whole
from daskingest.sample.write import blocks, header
from daskingest.stores import Store

_TOGETHER = 100  # blocks whose names are merged at a time


def _nothing() -> Whole:
    return np.empty(0, np.int64)


@dataclass(slots=True)
class Planted:
    """What is in a file: articles by publication's number, and how often each of the maker's names
    counts. Written beside the file."""

    maker: Maker
    size: int = 0
    articles: Whole = field(default_factory=_nothing)
    keys: Whole = field(default_factory=_nothing)
    counts: Whole = field(default_factory=_nothing)

    @property
    def words(self) -> int:
        """The (publication, name) pairs: about as many as the store will have rows."""
        return len(self.keys)

    def differs(self, store: Store) -> str:
        """What a store's counts have otherwise, in a sentence; empty if nothing."""
        expected = {
            name: number
            for name, number in zip(self.maker.publications, self.articles.tolist(), strict=True)
            if number
        }
        found = {each.name: each.count for each in store.publications()}
        if found != expected:
            return f"expected the articles {expected}, found {found}"
        planted = _digest(
            (*name, count)
            for name, count in zip(self.maker.planted(self.keys), self.counts.tolist(), strict=True)
        )
        counted = _digest(row[:4] for row in store.all_words())
        same = planted == counted
        return "" if same else f"expected (counters, checksum) {planted}, found {counted}"


def _digest(counters: Iterable[tuple[str, str, str, int]]) -> tuple[int, int]:
    """The number of counters, and a checksum of all of them in any order."""
    number = total = 0
    for each in counters:
        number += 1
        total += zlib.crc32("\t".join(map(str, each)).encode())
    return number, total


def plant(
    file: Path, size: int, publications: int, processes: int, progress: Callable[[int], object]
) -> Planted:
    """Write at least so many bytes, unless they are there; `progress` is told of those written."""
    kept = file.with_suffix(".planted")
    if kept.exists() and file.exists() and file.stat().st_size >= size:
        with kept.open("rb") as source:
            found: Planted = pickle.load(source)
        return found
    kept.unlink(missing_ok=True)
    planted = Planted(Maker(learn(), 0, publications, marked=True))
    planted.articles = np.zeros(publications, np.int64)
    waiting: list[tuple[Whole, Whole]] = []
    with file.open("wb") as out:
        planted.size = out.write(header())
        for block in blocks(planted.maker, processes):
            planted.size += out.write(block.text)
            planted.articles += np.bincount(block.publications, minlength=publications)
            waiting.append((block.keys, block.counts))
            if len(waiting) >= _TOGETHER or planted.size >= size:
                _merge(planted, waiting)
            progress(planted.size)
            if planted.size >= size:
                break
    with kept.open("wb") as target:
        pickle.dump(planted, target)
    return planted


def _merge(planted: Planted, waiting: list[tuple[Whole, Whole]]) -> None:
    keys = np.concatenate([planted.keys, *(each for each, _ in waiting)])
    counts = np.concatenate([planted.counts, *(each for _, each in waiting)])
    planted.keys, places = np.unique(keys, return_inverse=True)
    planted.counts = np.bincount(places, counts).astype(np.int64)
    waiting.clear()
