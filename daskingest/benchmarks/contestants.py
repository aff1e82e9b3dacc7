"""What finds entities in one process, and what it is compared with: spaCy, and matrix products.

All are measured in turns on the same articles, so that the ratios hold even if the machine's speed
drifts. Words are words of text, separated by white space. Each has one thread, so seconds are of
processor time: what else the machine does matters less.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from daskingest.benchmarks.figures import Rates
from daskingest.extraction import GROUP_CHARS
from daskingest.grouping import grouped
from daskingest.models import load_model, load_pipeline
from daskingest.recognizer import Recognizer
from daskingest.recognizer.finder import Finder

if TYPE_CHECKING:
    from spacy.language import Language

_WARM_UP = 2_000  # articles before those that are timed
_BLOCK = 384  # rows of one bare product

Texts = Sequence[str]


class Contestants:
    """The contestants that run in this process; their `rates` are added to those given."""

    def __init__(self, model: str, texts: Texts, rates: Rates) -> None:
        self._rates = rates
        self._slices = _slices(texts[_WARM_UP:] or texts)
        self._whole = load_pipeline(model)
        self._plain = load_pipeline(model, entities_only=True)
        self._find = load_model(model)
        self._component = load_pipeline(model, entities_only=True)
        Finder(self._component)
        self.stages: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self._recognize(texts[:_WARM_UP])
        self._pipe(self._component)(texts[:_WARM_UP])
        self._pipe(self._plain)(texts[: _WARM_UP // 20])
        self._watch_stages()

    def turn(self) -> Texts:
        """Run each contestant once; slower ones on fewer of the same articles, which it returns."""
        texts = next(self._slices)
        products = _Products(self._find)
        tokenizer: Any = self._plain.tokenizer
        tokens = sum(len(doc) for doc in tokenizer.pipe(texts))
        contestants: dict[str, tuple[Callable[[Texts], object], int]] = {
            "recognizer": (self._recognize, 1),
            "bare products": (lambda _: products(tokens), 1),
            "recognizer as a component": (self._pipe(self._component), 2),
            "tokenizer": (lambda its: [len(doc) for doc in tokenizer.pipe(its)], 2),
            "nlp.pipe, ner only": (self._pipe(self._plain), 12),
            "nlp.pipe, whole pipeline": (self._pipe(self._whole), 24),
            "older design": (lambda its: [self._whole(text).ents for text in its], 48),
        }
        for name, (work, part) in contestants.items():
            some = texts[: len(texts) // part]
            started = time.process_time()
            work(some)
            seconds = time.process_time() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            self._rates.add(name, text_words_in(some) / seconds)
        return texts

    def _recognize(self, texts: Texts) -> None:
        with self._find.nlp.memory_zone():
            for group in grouped(texts, len, GROUP_CHARS):
                self._find(group)

    @staticmethod
    def _pipe(nlp: Language) -> Callable[[Texts], object]:
        def work(texts: Texts) -> None:
            with nlp.memory_zone():
                for doc in nlp.pipe(texts):
                    len(doc.ents)

        return work

    def _watch_stages(self) -> None:
        recognizer = self._find.recognizer
        if recognizer is None:
            return
        for stage, owner, method in (
            ("tokens", self._find.pieces, "read"),
            ("vectors", recognizer.encoder, "encode"),
            ("entities", recognizer.decoder, "decode"),
        ):
            setattr(owner, method, self._timed(stage, getattr(owner, method)))

    def _timed(self, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        self.stages[stage] = 0.0

        def timed(*arguments: Any) -> Any:
            started = time.process_time()
            result = work(*arguments)
            self.stages[stage] += time.process_time() - started
            return result

        return timed


class _Products:
    """Only the matrix products of a model's `ner`, computed by numpy."""

    def __init__(self, find: Finder) -> None:
        ner: Any = find.nlp.get_pipe("ner")
        model = (ner.trained if isinstance(ner, Recognizer) else ner).model
        convolutions = model.get_ref("tok2vec").layers[0].get_ref("encode").walk()
        shapes = [
            (node.get_dim("nI"), node.get_dim("nO") * node.get_dim("nP"))
            for node in convolutions
            if node.name == "maxout"
        ]
        linear, lower = model.get_ref("tok2vec").layers[2], model.get_ref("lower")
        shapes.append((linear.get_dim("nI"), linear.get_dim("nO")))
        outputs = lower.get_dim("nO") * lower.get_dim("nP") * lower.get_dim("nF")
        shapes.append((lower.get_dim("nI"), outputs))
        random_numbers = np.random.default_rng(0)
        self._products = [
            (
                random_numbers.standard_normal((_BLOCK, inputs), np.float32),
                random_numbers.standard_normal((inputs, outputs), np.float32),
                np.empty((_BLOCK, outputs), np.float32),
            )
            for inputs, outputs in shapes
        ]

    def __call__(self, tokens: int) -> None:
        for start in range(0, tokens, _BLOCK):
            rows = min(_BLOCK, tokens - start)
            for left, right, out in self._products:
                np.matmul(left[:rows], right, out=out[:rows])


def text_words_in(texts: Texts) -> int:
    return sum(len(text.split()) for text in texts)


def _slices(texts: Texts) -> Iterator[Texts]:
    """The articles for each turn; starts over when they are used up."""
    size = min(len(texts), 480)
    starts = itertools.cycle(range(0, len(texts) - size + 1, size))
    return (texts[start : start + size] for start in starts)
