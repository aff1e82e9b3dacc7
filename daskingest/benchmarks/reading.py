"""How long it takes to read a store as its pages do: of every publication, each kind of query.

    python -m daskingest.benchmarks.growth --rows 8000000 --store large.db
    python -m daskingest.benchmarks.reading --store large.db

`--writing` has another process commit to the store meanwhile, as a large run does. `pages` measures
the pages themselves.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.synchronize import Event
from pathlib import Path

from daskingest.benchmarks.counters import LABELS, Stream, counts_of
from daskingest.ledger import BatchId, Counted
from daskingest.stores import Publication, ReadableStore, Word, open_store
from daskingest.stores.aliased import aliased
from daskingest.stores.aliases import ALONE, Aliases, AliasGroup

_PAGE, _FOUND, _PAIRS = 51, 1_000, 100
_TURNS = 4  # of each query for each publication
_BATCHES, _PAUSE = 640, 10.0  # batches in a commit; seconds between two

Query = Callable[[ReadableStore, Publication], object]


@dataclass(frozen=True, slots=True)
class Times:
    """Of one kind of query: sorted, in milliseconds. `cpu` is their mean CPU time."""

    kind: str
    taken: Sequence[float]
    cpu: float

    def at(self, share: float) -> float:
        """The time that this share of the queries does not exceed."""
        return self.taken[min(int(share * len(self.taken)), len(self.taken) - 1)]

    def __str__(self) -> str:
        return (
            f"{self.kind:28}  p50 {self.at(0.5):6.1f}  p95 {self.at(0.95):6.1f}  "
            f"max {self.taken[-1]:6.1f} ms  CPU {self.cpu:6.1f} ms"
        )


def queries(seed: int = 0) -> dict[str, Query]:
    """The kinds. Each makes its own choice of words and labels."""
    source = random.Random(seed)

    def known(store: ReadableStore, publication: Publication) -> str:
        return source.choice(store.words(publication.key, 100)).word

    def label() -> str:
        return source.choice(LABELS)

    def deep(its_label: Callable[[], str | None], most: int) -> Query:
        def read(store: ReadableStore, publication: Publication) -> list[Word]:
            after = source.randint(1, most), "mno" if source.randrange(2) else "zzz"
            return store.words(publication.key, _PAGE, after, its_label())

        return read

    def search(
        text: Callable[[ReadableStore, Publication], str], its_label: str | None = None
    ) -> Query:
        return lambda store, each: store.search(each.key, text(store, each), _FOUND, its_label)

    return {
        "top words": lambda store, each: store.words(each.key, _PAGE),
        "the 1,000 top words": lambda store, each: store.words(each.key, _FOUND),
        "of a label": lambda store, each: store.words(each.key, _PAGE, None, label()),
        "deep": deep(lambda: None, 40),
        "deep, rare words": deep(lambda: None, 3),
        "deep, of a label": deep(label, 40),
        "deep, rare words of a label": deep(label, 3),
        "search, a frequent text": search(lambda store, each: known(store, each)[:2]),
        "search, a word": search(known),
        "search, a text of no word": search(lambda store, each: f"{source.random()}"),
        "search within a label": search(lambda store, each: f"{source.random()}", "ORG"),
        "words of all publications": lambda store, each: store.find_words(
            [(its.key, known(store, each)) for its in store.publications()][:_PAIRS]
        ),
    }


def measure(
    url: str,
    turns: int = _TURNS,
    before: Callable[[], object] = lambda: None,
    groups: int = 0,
) -> list[Times]:
    """Each kind of query, of each publication in turn; `before` each of them is called.

    So many `groups` of the words are counted as one.
    """
    found = []
    with open_store(url) as opened:
        publications = opened.publications()
        store = aliased(opened, made_up_aliases(opened, groups))
        for kind, query in queries().items():
            taken, cpu = [], time.process_time()
            for publication in turns * publications:
                before()
                started = time.perf_counter()
                query(store, publication)
                taken.append(1000 * (time.perf_counter() - started))
            cpu = 1000 * (time.process_time() - cpu) / len(taken)
            found.append(Times(kind, sorted(taken), cpu))
    return found


def made_up_aliases(store: ReadableStore, groups: int) -> Aliases:
    """Of every three words of the largest publication's most frequent ones, and two that occur
    nowhere.
    """
    if not groups:
        return ALONE
    words = [each.word for each in store.words(store.publications()[0].key, 3 * groups)]
    return Aliases(
        AliasGroup(words[at], (*words[at : at + 3], f"not {words[at]}", f"nor {words[at]}"))
        for at in range(0, len(words), 3)
    )


def forget(path: Path) -> None:
    """Have the machine forget what of a file it has in its page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def writing(url: str, batches: int = _BATCHES) -> Iterator[None]:
    """Another process commits to the store, so many batches at a time, until the context ends."""
    spawn = multiprocessing.get_context("spawn")
    begun = spawn.Event()
    process = spawn.Process(target=_write, args=(url, batches, begun))
    process.start()
    try:
        while not begun.wait(1) and process.is_alive():
            pass
        yield
    finally:
        process.kill()
        process.join()


def _write(url: str, batches: int, begun: Event) -> None:
    run = f"reading-{time.time():.0f}"
    with open_store(url, create=True) as store:
        many, dated = len(store.publications()), bool(store.article_months())
        streams = [Stream(number, max(1, many), dated) for number in range(2)]
        drawn = [counts_of(each.draw(batches)) for each in streams]
        begun.set()
        for number in count():
            started = time.monotonic()
            store.commit(drawn[number % 2], {BatchId(run, str(number)): Counted()})
            time.sleep(max(0.0, started + _PAUSE - time.monotonic()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--store", type=Path, required=True, help="an SQLite file")
    parser.add_argument("--turns", type=int, default=_TURNS, help="of each query")
    parser.add_argument("--groups", type=int, default=0, help="of words that are counted as one")
    parser.add_argument("--cold", action="store_true", help="with nothing of it in memory")
    parser.add_argument("--writing", action="store_true", help="while others write to it")
    options = parser.parse_args()
    url = f"sqlite:///{options.store.absolute()}"

    def look() -> None:
        before = (lambda: forget(options.store)) if options.cold else lambda: None
        for each in measure(url, options.turns, before, options.groups):
            print(each)

    if not options.writing:
        look()
        return
    with writing(url):
        look()


if __name__ == "__main__":
    main()
