"""What all the scripts do alike: read articles, count entities by daskingest's rules, report."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

csv.field_size_limit(1 << 30)
warnings.filterwarnings("ignore", message=r"\[W095\]")  # the model is of another spaCy

UNUSED = ["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer"]
"""Pipes that the entities of `en_core_web_sm` don't need."""

SKIPPED = frozenset({"CARDINAL", "MONEY", "ORDINAL", "DATE", "TIME"})
MAX_WORD = 256

Counts = Counter[tuple[str, str, str]]
"""By publication, word and label; a publication's articles have neither word nor label."""


@dataclass(frozen=True)
class Job:
    """The arguments."""

    file: str
    model: str
    workers: int
    out: str

    @classmethod
    def given(cls) -> Job:
        """On the command line."""
        file, model, workers, out = sys.argv[1:]
        return cls(file, model, int(workers), out)

    def articles(self) -> Iterator[tuple[str, str]]:
        """Text and publication of each."""
        with Path(self.file).open(newline="", encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                yield row["article"], row["publication"]


@dataclass
class Part:
    """What a worker has counted: so many words of text since it was ready, its model loaded."""

    ready: float = field(default_factory=time.time)
    worker: int = field(default_factory=os.getpid)
    words: int = 0
    counts: Counts = field(default_factory=Counter)

    def count(self, text: str, publication: str, entities: Iterable[Any]) -> None:
        """Count an article with spaCy's entities."""
        self.words += len(text.split())
        key = _folded(publication)
        self.counts[key, "", ""] += 1
        for each in entities:
            word, label = _folded(each.text), each.label_
            if word and len(word) <= MAX_WORD and label not in SKIPPED:
                self.counts[key, word, label] += 1

    def dumped(self) -> str:
        """As a line of text."""
        rows = [[*key, number] for key, number in self.counts.items()]
        return json.dumps([self.ready, self.worker, self.words, rows])

    @classmethod
    def loaded(cls, line: str) -> Part:
        """From such a line."""
        ready, worker, words, rows = json.loads(line)
        return cls(ready, worker, words, Counter({(p, w, label): n for p, w, label, n in rows}))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split())).lower()


def load(model: str, entities_only: bool = True) -> Any:
    """The model's pipeline."""
    import spacy

    return spacy.load(model, exclude=UNUSED if entities_only else [])


def finish(job: Job, parts: Iterable[Part], *packages: str, ended: float | None = None) -> None:
    """Write the report: the counts, and how many words of text a second all workers took.

    Each worker's seconds are those from when it was ready to the end of all: no start-up.
    """
    counts: Counts = Counter()
    words: Counter[tuple[int, float]] = Counter()
    for each in parts:
        counts.update(each.counts)
        words[each.worker, each.ready] += each.words
    end = ended or time.time()
    report = {
        "words_per_second": sum(number / (end - ready) for (_, ready), number in words.items()),
        "versions": {each: version(each) for each in ("spacy", "numpy", *packages)},
        "counts": [[*key, number] for key, number in sorted(counts.items())],
    }
    Path(job.out).write_text(json.dumps(report), encoding="utf-8")
