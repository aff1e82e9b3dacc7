"""What made-up articles are made of: the bundled articles' sentences, names and titles."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daskingest.counts import SKIPPED_LABELS
from daskingest.models import find_model, load_model
from daskingest.sample.names import Whole
from daskingest.text import EntitySpan, word_of

_SOURCE = Path(__file__).parent.parent / "sample.csv"
_SENTENCE = re.compile(r"(?<=[.!?])[\"']?\s+(?=[\"'A-Z])")
_PLAINNESS = 0.4  # one name more makes a sentence so much rarer, down to real news' density

SEPARATORS = ("", " ", "\n\n")
"""The first texts: before an article's first sentence, within a paragraph, and between two."""

Pieces = list[tuple[str, str]]
"""A sentence: texts, with an empty label, and names with theirs."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Sentence i is `codes[bounds[i] : bounds[i + 1]]`. A code is the number of a text, or, below
    zero, -1 less the number of a label: there is a name with this label. The first code of each
    sentence is that of a separator, and to be replaced."""

    texts: list[str]
    codes: Whole
    bounds: Whole
    text_words: Whole
    """By sentence."""
    weights: NDArray[np.float64]
    """By sentence: how often it comes; together 1."""
    labels: list[str]
    known: list[list[str]]
    """By label: its names, frequent ones first; of those that are counted, each word once."""
    publications: list[str]
    titles: list[str]


def learn() -> Learned:
    """Read the bundled articles. Raises UsageError if the default model isn't installed."""
    find = load_model(find_model(None))
    with _SOURCE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    plain = [
        text
        for row in rows
        for paragraph in row["article"].splitlines()
        for text in _SENTENCE.split(paragraph)
        if text.strip()
    ]
    with find.nlp.memory_zone():  # all at once: for each by itself that took ten times as long
        found = find(plain)
    sentences = [list(_pieces(*each)) for each in zip(plain, found, strict=True)]
    known = _known(sentences)
    labels = list(known)
    pieces = (text for each in sentences for text, label in each if not label)
    texts = list(dict.fromkeys((*SEPARATORS, *pieces)))
    code = {text: i for i, text in enumerate(texts)}
    codes = [
        [0, *(-1 - labels.index(label) if label else code[text] for text, label in each)]
        for each in sentences
    ]
    weights = np.array([_PLAINNESS ** _counted(each) for each in sentences])
    return Learned(
        texts,
        np.concatenate([np.array(each, np.int64) for each in codes]),
        np.cumsum([0, *map(len, codes)]),
        np.array([len("".join(text for text, _ in each).split()) for each in sentences]),
        weights / weights.sum(),
        labels,
        list(known.values()),
        list(dict.fromkeys(row["publication"] for row in rows)),
        [row["title"] for row in rows],
    )


def _pieces(text: str, entities: Iterable[EntitySpan]) -> Iterator[tuple[str, str]]:
    at = 0
    for start, end, label in entities:
        yield text[at:start], ""
        yield text[start:end], label
        at = end
    yield text[at:], ""


def _counted(sentence: Pieces) -> int:
    """How many names in it are counted."""
    return sum(bool(label) and label not in SKIPPED_LABELS for _, label in sentence)


def _known(sentences: Iterable[Pieces]) -> dict[str, list[str]]:
    often: dict[str, Counter[str]] = {}
    for sentence in sentences:
        for text, label in sentence:
            if label:
                often.setdefault(label, Counter())[text] += 1
    known: dict[str, dict[str, str]] = {label: {} for label in sorted(often)}
    for label, texts in often.items():
        for text, _ in texts.most_common():
            known[label].setdefault(word_of(text), text)
    return {label: list(texts.values()) for label, texts in known.items()}
