"""The articles that are counted under faults: what they come to is known from how they are made.

Each has a word of its own, so that the store tells how often it was counted.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PUBLICATIONS = 7
MODEL = "chaosmodel"

_CODE = """
import time

import spacy
from spacy.tokenizer import Tokenizer
from spacy.util import load_model_from_init_py


class Slow(Tokenizer):
    def __call__(self, text):
        time.sleep(0.012)
        return super().__call__(text)

    def pipe(self, texts, batch_size=1000):
        for text in texts:
            yield self(text)


@spacy.registry.tokenizers("slow.v1")
def create():
    return lambda nlp: Slow(nlp.vocab, token_match=None, rules=None)


def load(**overrides):
    return load_model_from_init_py(__file__, **overrides)
"""

Counts = tuple[dict[str, int], Counter[tuple[str, str, str]]]
"""Articles by publication key, and counts by (publication key, word, label)."""


@dataclass(frozen=True)
class Article:
    """The article with this number."""

    number: int

    @property
    def publication(self) -> str:
        """Its publication's name."""
        return f"Post {self.number % PUBLICATIONS}"

    @property
    def text(self) -> str:
        """It is empty in a row that is to be rejected."""
        if self.number % 41 == 7:
            return ""
        return f"Ada Lovelace met {self.mark.upper()} in Berlin , and again in Berlin ."

    @property
    def mark(self) -> str:
        """The word that it alone has."""
        return f"x{self.number:05d}"

    @property
    def date(self) -> str:
        """A third has none."""
        return "" if self.number % 3 == 0 else f"2020-{1 + self.number % 12:02d}-03"

    @cached_property
    def words(self) -> dict[tuple[str, str], int]:
        """How often it has which words, with their labels."""
        if not self.text:
            return {}
        return {("ada lovelace", "PERSON"): 1, (self.mark, "PRODUCT"): 1, ("berlin", "GPE"): 2}


def counts_of(articles: Iterable[Article]) -> Counts:
    """What these come to when each is counted once."""
    found: Counter[str] = Counter()
    words: Counter[tuple[str, str, str]] = Counter()
    for each in articles:
        if each.text:
            key = each.publication.lower()
            found[key] += 1
            for (word, label), count in each.words.items():
                words[key, word, label] += count
    return dict(found), words


def write_csv(path: Path, articles: Iterable[Article]) -> None:
    """A file of them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["article", "publication", "date"])
        writer.writerows([each.text, each.publication, each.date] for each in articles)


def write_model(folder: Path) -> None:
    """The package `chaosmodel`: rules that take a little time, so that faults meet it at work."""
    import spacy

    package = folder / MODEL
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns(  # type: ignore[attr-defined]
        [
            {"label": "PERSON", "pattern": "Ada Lovelace"},
            {"label": "GPE", "pattern": "Berlin"},
            {"label": "PRODUCT", "pattern": [{"TEXT": {"REGEX": "^X[0-9]{5}$"}}]},
        ]
    )
    package.mkdir()
    nlp.meta["name"] = MODEL
    data = package / "{lang}_{name}-{version}".format(**nlp.meta)
    nlp.to_disk(data)
    (package / "meta.json").write_bytes((data / "meta.json").read_bytes())
    config = nlp.config.copy()
    config["nlp"]["tokenizer"] = {"@tokenizers": "slow.v1"}
    config.to_disk(data / "config.cfg")
    (package / "__init__.py").write_text(_CODE)
