"""Compare the recognizer with spaCy's own `ner`, document by document, on a whole corpus.

    python tests/benchmarks/identity.py CORPUS.csv [MODEL]

Both ways are compared: as a component of a pipeline, and the path that `extract` takes. An entity
that differs is printed with the scores of the two best moves where the documents part: close ones
are a tie in floating point.
"""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from spacy.language import Language

from daskingest.models import find_model, load_model, load_pipeline
from daskingest.recognizer.finder import Finder
from daskingest.text import EntitySpan

_TOGETHER = 64  # documents


@dataclass(slots=True)
class Comparison:
    """What a corpus came to. `differing` are documents."""

    documents: int = 0
    entities: int = 0
    differing: int = 0


def compare(corpus: Path, model: str | None = None) -> Comparison:
    """Compare all of a corpus, and print what differs."""
    name = find_model(model)
    plain, fast = load_pipeline(name, entities_only=True), load_model(name)
    assert fast.recognizer is not None, f"{name} is left to spaCy"
    total = Comparison()
    texts = _texts(corpus, plain.max_length)
    while some := list(itertools.islice(texts, _TOGETHER)):
        with plain.memory_zone():
            wanted = _entities(plain, some)
        with fast.nlp.memory_zone():
            ways = fast(some), _entities(fast.nlp, some)
        for text, its, found, component in zip(some, wanted, *ways, strict=True):
            total.documents += 1
            total.entities += len(its)
            if not its == found == component:
                total.differing += 1
                print(f"document {total.documents}: {_difference(its, found, component)}")
                print(f"  {_scores(text, its, found if found != its else component, fast)}")
    return total


def _texts(corpus: Path, longest: int) -> Iterator[str]:
    csv.field_size_limit(1 << 30)
    with corpus.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["article"]:
                yield row["article"][:longest]


def _entities(nlp: Language, texts: Sequence[str]) -> list[list[EntitySpan]]:
    docs = nlp.pipe(texts)
    return [[(e.start_char, e.end_char, e.label_) for e in doc.ents] for doc in docs]


def _difference(wanted: list[EntitySpan], *ways: list[EntitySpan]) -> str:
    return "; ".join(
        f"{name} lacks {sorted(set(wanted) - set(way))}, adds {sorted(set(way) - set(wanted))}"
        for name, way in zip(("extract", "component"), ways, strict=True)
        if way != wanted
    )


def _scores(text: str, wanted: list[EntitySpan], found: list[EntitySpan], fast: Finder) -> str:
    """The two best scores at the token where the first differing entity begins."""
    assert fast.recognizer is not None
    encoder, decoder = fast.recognizer.encoder, fast.recognizer.decoder
    start = min(set(wanted) ^ set(found))[0]
    with fast.nlp.memory_zone():
        doc = fast.nlp.make_doc(text)
        place = next(token.i for token in doc if token.idx + len(token) > start)
        padding = np.zeros(encoder.reach, np.int32)
        types = encoder.types.number(doc.to_array(list(encoder.columns)))  # type: ignore[arg-type]
        vectors = encoder.encode(np.concatenate([padding, types, padding]))
        hidden = decoder._hidden(
            vectors[[encoder.reach + place]] @ decoder._features[0] + decoder._closed_bias
        )
        scores = (hidden @ decoder._upper.T + decoder._upper_bias)[0]
        best = np.sort(scores)[-2:]
        return f"{doc[place].text!r}: the best scores are {best[1]:.6f} and {best[0]:.6f}"


if __name__ == "__main__":
    result = compare(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
    print(
        f"{result.documents:,} documents, {result.entities:,} entities, "
        f"{result.differing:,} documents differ"
    )
    sys.exit(result.differing > 0)
