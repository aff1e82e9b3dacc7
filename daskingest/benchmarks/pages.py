"""How long the pages of `daskingest explore` take to be answered, over a large store.

    python -m daskingest.benchmarks.growth --dated --publications 500 --store large.db
    python -m daskingest.benchmarks.pages --store large.db --writing

`--writing` has another process commit to the store meanwhile, as a large run does.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import httpx
import psutil

from daskingest.benchmarks.reading import Times, writing
from daskingest.stores import Publication, open_store

_ASKED = 200  # times, each kind of page
_PATIENCE = 120.0  # seconds for it to start

Addressed = Callable[[Publication, str], str]
"""The path of a page: about a publication, or a word of it."""


def pages(publications: int, other: str, another: str) -> dict[str, Addressed]:
    """The kinds of pages. Publications and words are compared with another one each."""
    source = random.Random(0)

    def some_page(order: str) -> Addressed:
        last = max(1, publications // 24)
        return lambda publication, word: f"/?sort={order}&page={source.randint(1, last)}"

    def months(since: str, until: str) -> Addressed:
        return lambda publication, word: (
            f"/publication?name={publication.key}&since=2017-{since}&until=2017-{until}"
        )

    return {
        "overview": lambda publication, word: "/",
        "overview, its live part": lambda publication, word: "/live",
        "overview, any page": some_page("articles"),
        "overview, by name": some_page("name"),
        "overview, by latest": some_page("latest"),
        "overview, search": lambda publication, word: f"/?q={publication.key[-2:]}",
        "word cloud": lambda publication, word: f"/cloud.svg?name={publication.key}",
        "publication": lambda publication, word: f"/publication?name={publication.key}",
        "publication, a year": months("01", "12"),
        "publication, a month": months("05", "05"),
        "comparison": lambda publication, word: f"/compare?name={publication.key}&name={other}",
        "comparison of words": lambda publication, word: f"/compare?word={word}&word={another}",
        "word": lambda publication, word: f"/word?word={word}",
    }


def measure(
    address: str, process: psutil.Process, url: str, asked: int = _ASKED
) -> Iterator[Times]:
    """Each kind of page, so many times, about publications and words drawn at random.

    The CPU time is that of the process that answers, with what it does beside the pages.
    """
    source = random.Random(1)
    with open_store(url) as store, httpx.Client(base_url=address, timeout=60) as http:
        publications = store.publications()
        drawn = source.choices(publications, k=asked)
        words = [source.choice(store.words(each.key, 100)).word for each in drawn]
        for kind, path in pages(len(publications), publications[0].key, words[0]).items():
            before = _cpu(process)
            taken = sorted(_taken(http, path, drawn, words))
            yield Times(kind, taken, 1000 * (_cpu(process) - before) / asked)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _taken(
    http: httpx.Client, path: Addressed, drawn: Sequence[Publication], words: Sequence[str]
) -> Iterator[float]:
    for publication, word in zip(drawn, words, strict=True):
        started = time.perf_counter()
        http.get(path(publication, word)).raise_for_status()
        yield 1000 * (time.perf_counter() - started)


@contextlib.contextmanager
def explorer(url: str) -> Iterator[tuple[str, psutil.Process]]:
    """The address of `daskingest explore`, and its process, while it runs."""
    command = [sys.executable, "-m", "daskingest", "explore", "--port", "0", "--store", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().partition(" is at ")[2].partition(";")[0]
            deadline = time.monotonic() + _PATIENCE
            while time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    httpx.get(f"{address}/static/style.css").raise_for_status()
                    break
            yield address, psutil.Process(process.pid)
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--store", type=Path, required=True, help="an SQLite file")
    parser.add_argument("--asked", type=int, default=_ASKED, help="times, each kind of page")
    parser.add_argument("--writing", action="store_true", help="while others write to it")
    options = parser.parse_args()
    url = f"sqlite:///{options.store.absolute()}"
    with explorer(url) as (address, process), writing(url) if options.writing else nullcontext():
        for each in measure(address, process, url, options.asked):
            print(each, flush=True)


if __name__ == "__main__":
    main()
