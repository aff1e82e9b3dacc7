"""Finds the entities in texts, in the fastest way that a pipeline allows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from daskingest.recognizer import Recognizer, accelerate
from daskingest.recognizer.embedding import Unsupported
from daskingest.recognizer.pieces import Pieces
from daskingest.text import EntitySpan

if TYPE_CHECKING:
    from spacy.language import Language

_BATCH_CHARS = 100_000  # in a batch of nlp.pipe: the model's memory grows with them

log = logging.getLogger(__name__)


class Found(NamedTuple):
    """A text's entities, in order, and its number of words: what stands between white space."""

    entities: list[EntitySpan]
    words: int


class Finder:
    """Finds what `nlp.pipe` finds, having accelerated the pipeline it is given, if `fast`.

    If a trained `ner` is all there is in it then, no Docs are made.
    """

    def __init__(self, nlp: Language, fast: bool = True) -> None:
        self.nlp = nlp
        if fast:
            accelerate(nlp)
        self.recognizer: Recognizer | None = None
        if len(nlp.pipeline) == 1 and isinstance(recognizer := nlp.pipeline[0][1], Recognizer):
            try:
                self.pieces = Pieces(nlp.tokenizer, recognizer.encoder)
                self.recognizer = recognizer
            except Unsupported as reason:
                log.warning("texts are tokenized by spaCy, which is slower: %s", reason)

    def __call__(self, texts: Sequence[str]) -> list[list[EntitySpan]]:
        """Each text's entities, as `read` finds them."""
        return [each.entities for each in self.read(texts)]

    def read(self, texts: Sequence[str]) -> list[Found]:
        """What is in each text. Texts are at most `nlp.max_length` characters long.

        Call it inside the pipeline's memory zone, so that the vocabulary does not grow.
        """
        if self.recognizer is None:
            longest = max(map(len, texts), default=0)
            docs = self.nlp.pipe(texts, batch_size=max(1, _BATCH_CHARS // max(longest, 1)))
            its = [[(e.start_char, e.end_char, e.label_) for e in doc.ents] for doc in docs]
            words = [len(text.split()) for text in texts]
            return list(map(Found, its, words))
        with self.recognizer.lock:
            return self._find(self.recognizer, texts)

    def _find(self, recognizer: Recognizer, texts: Sequence[str]) -> list[Found]:
        recognizer.encoder.trim()
        tokenized = self.pieces.read(texts)
        last = np.zeros(len(tokenized.types), bool)
        entities = recognizer.find(tokenized.types, tokenized.counts, tokenized.spaces, last)
        starts, ends = (each.data for each in tokenized.offsets())  # items are Python's numbers
        labels = recognizer.decoder.labels
        first = np.cumsum(tokenized.counts) - tokenized.counts
        located = [
            [(starts[a + s], ends[a + e - 1], labels[label]) for s, e, label in its]
            for a, its in zip(first.tolist(), entities, strict=True)
        ]
        return list(map(Found, located, tokenized.words.tolist()))
