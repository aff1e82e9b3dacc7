"""Whole programs in turns on the same articles: run-csv, and what one might use instead."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daskingest.articles import Article
from daskingest.benchmarks.figures import Rates
from daskingest.benchmarks.peer_runs import (
    NLP_PIPE,
    PEERS_OF_RUN_CSV,
    SPACY_3_7_5,
    Counts,
    Peer,
    Runner,
    counts_in,
    difference,
)
from daskingest.errors import DaskingestError
from daskingest.pipeline.run import Run
from daskingest.progress import Progress
from daskingest.settings import Settings

_SLOWER = 6  # times: of the recognizer's articles, an older spaCy gets one in so many


def write_articles(file: Path, articles: Iterable[Article]) -> Path:
    """A CSV file of articles, without their dates."""
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = ((each.content, each.publication) for each in articles)
        csv.writer(out).writerows([("article", "publication"), *rows])
    return file


@dataclass(slots=True)
class Turns:
    """`mine` is the file that run-csv's rate is measured with, and `theirs`, which all count and
    are compared by, has some of its articles: the others would take hours for all of them.

    `said` has what is to be said of each peer: its versions and how its counts differ from
    run-csv's, or why it failed.
    """

    mine: Path
    theirs: Path
    model: str
    runner: Runner
    rates: Rates
    said: dict[str, dict[str, Any]]
    say: Callable[[str], None]
    peers: list[Peer] = field(default_factory=lambda: [NLP_PIPE])
    _reference: Counts | None = None

    def install(self) -> None:
        """Have the others that one might use, too; those that can't be installed are named."""
        self.say("installing what run-csv is compared with, once")
        for each in (SPACY_3_7_5, *PEERS_OF_RUN_CSV):
            try:
                each.python()
                self.peers.append(each)
            except DaskingestError as error:
                self._failed(each, f"cannot be installed: {error}")

    def old_spacy(self, texts: Sequence[str]) -> None:
        """The older spaCy's turn, on the first of these texts, if it is there."""
        if SPACY_3_7_5 in self.peers:
            some = [Article(each, "all") for each in texts[: max(1, len(texts) // _SLOWER)]]
            self._run(SPACY_3_7_5, write_articles(self.runner.folder / "texts.csv", some))

    def take(self) -> None:
        """Everybody's turn, of those that use all cores."""
        self.say(f"run-csv with {self.runner.workers} workers")
        self.rates.add("run-csv", self._run_csv(self.mine)[0])
        if self._reference is None:
            self._reference = counts_in(self._run_csv(self.theirs)[1])
            if SPACY_3_7_5 in self.peers:
                self._compare(SPACY_3_7_5)
        for each in [each for each in self.peers if each != SPACY_3_7_5]:
            self.say(each.name)
            self._run(each, self.theirs)

    def _compare(self, peer: Peer) -> None:
        """Have one count the file that is compared, whose turns are on another one."""
        before = list(self.rates.of.get(peer.name, []))
        self._run(peer, self.theirs)
        self.rates.of[peer.name] = before

    def _run(self, peer: Peer, file: Path) -> None:
        try:
            report = self.runner.run(peer, file)
        except DaskingestError as error:
            self._failed(peer, f"failed: {error}")
            return
        self.rates.add(peer.name, report.words_per_second)
        if file == self.theirs and self._reference is not None:
            counts = difference(report.counts, self._reference)
            self.said[peer.name] = {"versions": report.versions, "counts": counts}
            if counts != "the same":
                self.say(f"{peer.name}: {counts}")

    def _failed(self, peer: Peer, why: str) -> None:
        """It is out, with one line."""
        self.peers = [each for each in self.peers if each != peer]
        self.rates.of.pop(peer.name, None)
        self.said[peer.name] = {"failed": why}
        self.say(f"{peer.name} {why}")

    def _run_csv(self, file: Path) -> tuple[float, str]:
        """Words of text a second, and the store."""
        folder = self.runner.folder.absolute()
        for each in folder.glob("bench.db*"):
            each.unlink()
        store = f"sqlite:///{folder / 'bench.db'}"
        settings = Settings(
            store=store,
            workers=self.runner.workers,
            model=self.model,
            rejects=str(folder / "rejects.jsonl"),
        )
        [summary] = asyncio.run(Run([str(file)], settings, Progress())())
        return summary.fresh.text_words / summary.seconds, store
