"""The spaCy component, and how it comes into a pipeline."""

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
_INSIDE, _BEGIN = 1, 3  # values of ENT_IOB; the others are 0, nothing set, and 2, outside
_GROUP_TOKENS = 20_000  # tokens that are computed together, unless one text alone has more

log = logging.getLogger(__name__)


def accelerate(nlp: Language) -> bool:
    """Put a Recognizer in the place of each trained `ner` in the pipeline that it can stand for.

    Whatever else the pipeline holds stays as it is, in its configuration too: saved, it is the
    pipeline that it was. Where a model is of another kind, spaCy's own component stays, and the log
    says why. Gives whether all are replaced.
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
    """Sets `doc.ents` as the trained `ner` does whose weights it takes when it is made.

    The entities are the same as spaCy's (start, end and label), but for ties: where two moves'
    scores differ by no more than float32's rounding, either may win. Entities and blocked tokens
    that are set already, sentence starts and white space are kept to as spaCy keeps to them. What
    can't be computed here exactly is left to the trained component: texts with entities set whose
    label it doesn't know.

    Training or resizing the component behind it doesn't change it. One thread at a time uses it;
    others wait.

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
        """Annotate a stream of Docs, up to `batch_size` at once; they come back in order."""
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
        """Whether the entities that are set already are ones that the model could have set."""
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
        """Each text's entities, in texts that lie behind each other; the caller has the lock.

        `types` are the encoder's numbers for the tokens, `counts` how many each text has, and
        `barred` and `last` as in decoder.Tokens, but for the last tokens of the texts.
        """
        if not len(types):
            return iter([[] for _ in counts])
        last[np.cumsum(counts) - 1] = True  # for an empty text, again the last token before it
        reach = self.encoder.reach
        before = np.repeat(np.arange(1, len(counts) + 1), counts)  # texts, and so gaps
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

    # What is behind this component is the trained one: pipelines are saved and loaded with it.

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
    """Each text's entities, in its own tokens."""
    behind = np.cumsum(counts)
    cuts = np.searchsorted([start for start, _, _ in entities], behind)
    begun = 0
    for count, end, cut in zip(counts.tolist(), behind.tolist(), cuts.tolist(), strict=True):
        first = end - count
        yield [(start - first, stop - first, label) for start, stop, label in entities[begun:cut]]
        begun = cut
