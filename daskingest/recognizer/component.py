"""The spaCy component, and `accelerate`, which puts it into a pipeline."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from spacy.attrs import ENT_IOB, ENT_TYPE, IS_SPACE, SENT_START
from spacy.pipeline import EntityRecognizer, Pipe
from spacy.tokens import Doc, Span
from thinc.api import NumpyOps

from daskingest.grouping import grouped
from daskingest.recognizer.arrays import Attributes, Flags, Indices, Ints
from daskingest.recognizer.decoder import Decoder, Entity, Tokens
from daskingest.recognizer.embedding import Unsupported
from daskingest.recognizer.encoder import Encoder

if TYPE_CHECKING:
    from spacy.language import Language

_SPACE, _SENTENCE, _IOB, _TYPE = -4, -3, -2, -1  # columns, see Recognizer._attributes
_INSIDE, _BEGIN = 1, 3  # values of ENT_IOB; the others are 0 (not set) and 2 (outside)
_GROUP_TOKENS = 20_000  # tokens computed together, unless a single text has more

log = logging.getLogger(__name__)


def accelerate(nlp: Language) -> bool:
    """Replace each trained `ner` in the pipeline by a Recognizer, if its model is supported.

    Nothing else in the pipeline or its configuration changes: saved to disk, it is the pipeline it
    was before. If a model is of another kind, spaCy's own component stays, and the log says why.
    Returns whether all were replaced.
    """
    complete = True
    for place, (name, pipe) in enumerate(nlp._components):
        if isinstance(pipe, EntityRecognizer):
            try:
                nlp._components[place] = (name, Recognizer(pipe))
            except Unsupported as reason:
                log.warning("the model's %r is left to spaCy, which is slower: %s", name, reason)
                complete = False
    return complete


class Recognizer(Pipe):
    """Sets `doc.ents` as the trained `ner` would whose weights it copies when it is created.

    The entities are the same as spaCy's (start, end and label), except for ties: where the scores
    of two moves differ by no more than the rounding of float32, either may win. Entities and
    blocked tokens that are set already, sentence starts and white space are respected as spaCy
    respects them. Texts that can't be computed exactly here, because they have entities with a
    label that the model doesn't know, are left to the trained component.

    Later training or resizing of the trained component has no effect. One thread at a time uses a
    Recognizer; others wait.

    Raises Unsupported for a model of another kind.
    """

    def __init__(self, ner: EntityRecognizer) -> None:
        self.trained = ner
        self.name = ner.name
        self.vocab = ner.vocab
        self.lock = threading.Lock()
        self._prepare()

    def _prepare(self) -> None:
        ops = self.trained.model.ops
        if not isinstance(ops, NumpyOps):
            raise Unsupported(f"it runs on {ops.name}")
        self.decoder = Decoder(self.trained)
        self.encoder = Encoder(self.trained.model.get_ref("tok2vec").layers[0], self.vocab)
        self._attributes = [*self.encoder.columns, IS_SPACE, SENT_START, ENT_IOB, ENT_TYPE]
        self._labels = np.array(
            [self.vocab.strings.add(label) for label in self.decoder.labels], np.uint64
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Recognizer, (self.trained,)

    def __call__(self, doc: Doc) -> Doc:
        self._annotate([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 256) -> Iterator[Doc]:
        """Annotate a stream of Docs, up to `batch_size` at a time, and return them in order."""
        handle = self.get_error_handler()
        for group in grouped(stream, len, _GROUP_TOKENS, batch_size):
            try:
                self._annotate(group)
            except Exception as error:
                handle(self.name, self, group, error)
            else:
                yield from group

    def _annotate(self, docs: Sequence[Doc]) -> None:
        arrays: list[Any] = [doc.to_array(self._attributes) for doc in docs]
        computed = [self._computes(array) for array in arrays]
        found = self._find_in([array for array, mine in zip(arrays, computed, strict=True) if mine])
        for doc, array, mine in zip(docs, arrays, computed, strict=True):
            if mine:
                self._set(doc, array, next(found))
            else:
                self.trained(doc)

    def _computes(self, array: Attributes) -> bool:
        """Whether the entities set already are ones that the model could have set itself."""
        iob, types = array[:, _IOB], array[:, _TYPE]
        if not types.any() and not (iob == _INSIDE).any():
            return True
        inside = np.flatnonzero(iob == _INSIDE)
        follows = (
            np.isin(iob[inside - 1], (_BEGIN, _INSIDE))
            & (types[inside - 1] == types[inside])
            & (inside > 0)
        )
        return bool(follows.all() and np.isin(types[types > 0], self._labels).all())

    def _find_in(self, arrays: Sequence[Attributes]) -> Iterator[list[Entity]]:
        if not arrays:
            return iter(())
        array = np.concatenate(arrays)
        counts = np.array([len(each) for each in arrays], np.intp)
        iob = array[:, _IOB]
        last = np.zeros(len(array), bool)
        last[:-1] = (array[1:, _SENTENCE] == 1) | (iob[1:] == _BEGIN)
        barred = (array[:, _SPACE] == 1) | (iob == _BEGIN) | (iob == _INSIDE)
        with self.lock:
            self.encoder.trim()
            types = self.encoder.types.number(array[:, : len(self.encoder.columns)])
            return self.find(types, counts, barred, last)

    def find(
        self, types: Ints, counts: Indices, barred: Flags, last: Flags
    ) -> Iterator[list[Entity]]:
        """The entities of each of several consecutive texts. The caller holds the lock.

        `types` are the encoder's numbers for the tokens, `counts` the numbers of tokens of the
        texts, and `barred` and `last` as in decoder.Tokens; the last token of each text is added to
        `last` here.
        """
        if not len(types):
            return iter([[] for _ in counts])
        last[np.cumsum(counts) - 1] = True  # for an empty text, the last token before it once more
        reach = self.encoder.reach
        before = np.repeat(np.arange(1, len(counts) + 1), counts)  # the number of gaps
        rows = np.arange(len(types)) + reach * before
        padded = np.zeros(rows[-1] + 1 + reach, np.int32)
        padded[rows] = types
        tokens = Tokens(self.encoder.encode(padded), rows, last, barred)
        return _by_text(self.decoder.decode(tokens), counts)

    def _set(self, doc: Doc, array: Attributes, entities: Sequence[Entity]) -> None:
        iob, types = array[:, _IOB], array[:, _TYPE]
        spans = [
            Span(doc, start, end, label=int(self._labels[label]), kb_id=doc[start].ent_kb_id)
            for start, end, label in entities
        ]
        blocked: list[Span] = []
        for start in np.flatnonzero(iob == _BEGIN).tolist():
            end = start + 1
            while end < len(iob) and iob[end] == _INSIDE:
                end += 1
            span = Span(doc, start, end, label=int(types[start]), kb_id=doc[start].ent_kb_id)
            (spans if types[start] else blocked).append(span)
        doc.set_ents(spans, blocked=blocked)

    # Pipelines are saved and loaded with the trained component.

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.trained.labels)

    def to_bytes(self, **options: Any) -> bytes:
        data: bytes = self.trained.to_bytes(**options)
        return data

    def to_disk(self, path: str | Path, **options: Any) -> None:
        self.trained.to_disk(path, **options)

    def from_bytes(self, data: bytes, **options: Any) -> Recognizer:
        self.trained.from_bytes(data, **options)
        self._prepare()
        return self

    def from_disk(self, path: str | Path, **options: Any) -> Recognizer:
        self.trained.from_disk(path, **options)
        self._prepare()
        return self


def _by_text(entities: Sequence[Entity], counts: Indices) -> Iterator[list[Entity]]:
    """Each text's entities, as indices of its own tokens."""
    text_ends = np.cumsum(counts)
    cuts = np.searchsorted([start for start, _, _ in entities], text_ends)
    begun = 0
    for count, end, cut in zip(counts.tolist(), text_ends.tolist(), cuts.tolist(), strict=True):
        first = end - count
        yield [(start - first, stop - first, label) for start, stop, label in entities[begun:cut]]
        begun = cut
