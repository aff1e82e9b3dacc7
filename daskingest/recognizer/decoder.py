"""Decides on a text's entities from its token vectors, as spaCy's transition-based parser does.

spaCy goes through a text token by token and scores all moves at each. The rules of its transition
system (`spacy/pipeline/_parser_internals/ner.pyx`) allow a shortcut. While no entity is open, a
token's scores depend on that token alone, so they are computed for all tokens together. While one
is open, only two moves are valid: to continue it with its label, or to end it. So all entities that
could begin are extended side by side, as if none began inside another; a final pass in order drops
those that do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daskingest.recognizer.arrays import Flags, Floats, Indices, Ints
from daskingest.recognizer.embedding import Unsupported
from daskingest.recognizer.kernels import Maxout, best_outputs

if TYPE_CHECKING:
    from spacy.pipeline import EntityRecognizer

Entity = tuple[int, int, int]
"""Its first token, the token after its last one, and the index of its label in Decoder.labels."""

_BLOCK = 384  # tokens by which a single entity is extended at a time
_SIDE_BY_SIDE = 12  # tokens after which an open entity is extended alone


@dataclass(slots=True)
class Tokens:
    """The tokens of consecutive texts, as the decoder sees them."""

    vectors: Floats
    """(rows, width): one row per token, and rows of padding between texts."""
    rows: Indices
    """Each token's row in `vectors`; neighbours in a text have neighbouring rows."""
    last: Flags
    """Tokens that an entity must not extend beyond: the last of a text, or of a sentence."""
    barred: Flags
    """Tokens at which no entity may begin: white space, and those decided on before."""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(slots=True)
class _Scorer:
    """Scores some of the moves while no entity is open."""

    hidden: Maxout
    upper: Maxout
    moves: Ints

    def best(self, tokens: Tokens, rows: Indices) -> Ints:
        """For each of these rows, the move with the highest score; of equal ones, the first."""
        best = np.empty(len(rows), np.int32)
        hidden, upper = self.hidden, self.upper
        layers = hidden.weights, hidden.biases, upper.weights, upper.biases
        best_outputs(tokens.vectors, rows, *layers, self.moves, best)
        return best


@dataclass(slots=True)
class _Moves:
    """What the moves mean, by their index among the classes, or by the index of their label."""

    label_of: Ints
    """The index of a move's label; -1: it has none."""
    outside: int
    """The move for a token outside of entities."""
    begins: Flags
    """Moves that begin an entity of several tokens."""
    within: Indices
    """For each label, the move that continues an entity,"""
    ends: Indices
    """and the one that ends it."""

    @classmethod
    def of(cls, names: Sequence[str], labels: Sequence[str]) -> _Moves:
        place = {label: i for i, label in enumerate(labels)}
        within, ends = (
            np.array([names.index(kind + label) for label in labels]) for kind in ("I-", "L-")
        )
        return cls(
            label_of=np.array([place.get(name[2:], -1) for name in names], np.int32),
            outside=names.index("O"),
            begins=np.array([name.startswith("B-") for name in names]),
            within=within,
            ends=ends,
        )


class Decoder:
    """Decodes with the weights of one trained `ner`, which are copied from it.

    Raises Unsupported unless it is a `TransitionBasedParser` with three feature tokens and an upper
    layer, and is decoded greedily.
    """

    def __init__(self, ner: EntityRecognizer) -> None:
        linear, lower, upper = _parts(ner)
        names = [ner.moves.get_class_name(i) for i in range(ner.moves.n_moves)]
        self.labels = [name[2:] for name in names if name.startswith("B-")]
        self._moves = _Moves.of(names, self.labels)
        self._features, self._bias, self._closed_bias = _fold(linear, lower)
        self._upper = upper.get_param("W")  # (moves, hidden)
        self._upper_bias = upper.get_param("b")
        closed = self._features[0].T.reshape(-1, self._upper.shape[1], len(self._features[0]))
        self._closed = Maxout(closed, self._closed_bias)

        # The moves possible while no entity is open. There is also a move "U-" without a label.
        kinds = {"O": "O", **{kind + label: kind for kind in ("B-", "U-") for label in self.labels}}
        free = [i for i, name in enumerate(names) if name in kinds]
        self._free = self._scorer(free)
        self._within = self._scorer([i for i in free if kinds[names[i]] != "B-"])

    def decode(self, tokens: Tokens) -> list[Entity]:
        """The entities, in order; they don't overlap."""
        move = self._best_moves(tokens)
        starts = np.flatnonzero(self._moves.label_of[move] >= 0)
        labels = self._moves.label_of[move[starts]]
        ends = starts + 1
        longer = np.flatnonzero(self._moves.begins[move[starts]])
        ends[longer] = self._extend(tokens, starts[longer], labels[longer])

        entities: list[Entity] = []
        reached = 0
        for start, end, label in zip(starts.tolist(), ends.tolist(), labels.tolist(), strict=True):
            if start >= reached:
                reached = end or self._extend_alone(tokens, start, label)
                entities.append((start, reached, label))
        return entities

    def _scorer(self, moves: Sequence[int]) -> _Scorer:
        upper = Maxout(self._upper[None, moves], self._upper_bias[moves])
        return _Scorer(self._closed, upper, np.array(moves, np.int32))

    def _best_moves(self, tokens: Tokens) -> Ints:
        """For each token, the best valid move if no entity is open there."""
        best = self._free.best(tokens, tokens.rows)
        last = np.flatnonzero(tokens.last)
        best[last] = self._within.best(tokens, tokens.rows[last])
        best[tokens.barred] = self._moves.outside
        return best

    def _hidden(self, sums: Floats) -> Floats:
        width = self._upper.shape[1]
        hidden = sums[:, :width]
        for piece in range(width, sums.shape[1], width):
            hidden = np.maximum(hidden, sums[:, piece : piece + width])
        return hidden

    def _extend(self, tokens: Tokens, starts: Indices, labels: Ints) -> Indices:
        """Where the entities that begin at `starts` end; 0 for those that are still open."""
        ends = np.zeros(len(starts), starts.dtype)
        first = self._first(tokens, starts)
        active = np.arange(len(starts))
        for step in range(1, _SIDE_BY_SIDE):
            if not len(active):
                break
            current = starts[active] + step
            goes_on = self._goes_on(tokens, current, first[active], labels[active])
            ends[active[~goes_on]] = current[~goes_on] + 1
            active = active[goes_on]
        return ends

    def _extend_alone(self, tokens: Tokens, start: int, label: int) -> int:
        """Where the entity at `start` ends.

        Without this, a text that is one long entity, in which another could begin at each token,
        would take time quadratic in its length.
        """
        first = self._first(tokens, np.array([start]))
        labels = np.array([label], np.int32)
        stop = start + _SIDE_BY_SIDE
        while True:
            current = np.arange(stop, min(stop + _BLOCK, len(tokens)))
            ending = np.flatnonzero(~self._goes_on(tokens, current, first, labels))
            if len(ending):
                return int(current[ending[0]]) + 1
            stop += len(current)

    def _first(self, tokens: Tokens, starts: Indices) -> Floats:
        """What an open entity's first token contributes to the scores of the tokens after it."""
        result: Floats = tokens.vectors[tokens.rows[starts]] @ self._features[1] + self._bias
        return result

    def _goes_on(self, tokens: Tokens, current: Indices, first: Floats, labels: Ints) -> Flags:
        """Whether open entities continue after their `current` token, or end with it."""
        rows = tokens.rows[current]
        sums = tokens.vectors[rows] @ self._features[0] + first
        sums += tokens.vectors[rows - 1] @ self._features[2]
        hidden = self._hidden(sums)
        within, ends = self._moves.within, self._moves.ends
        go, end = (
            np.vecdot(hidden, self._upper[moves[labels]]) + self._upper_bias[moves[labels]]
            for moves in (within, ends)
        )
        better = (go > end) | ((go == end) & (within[labels] < ends[labels]))
        result: Flags = better & ~tokens.last[current]
        return result


def _parts(ner: EntityRecognizer) -> tuple[Any, Any, Any]:
    """The layers after the tok2vec: linear, lower, and upper. Raises Unsupported."""
    model = ner.model
    if ner.cfg["beam_width"] != 1:
        raise Unsupported("it uses beam search")
    if model.name != "parser_model" or not model.attrs["has_upper"]:
        raise Unsupported("it has no upper layer")
    if model.attrs["unseen_classes"]:
        raise Unsupported("it has labels that it was not trained on")
    names = [layer.name for layer in model.get_ref("tok2vec").layers[1:]]
    lower, upper = model.get_ref("lower"), model.get_ref("upper")
    if names != ["list2array", "linear"] or lower.get_dim("nF") != 3 or upper.name != "linear":
        raise Unsupported("it has other features than the usual three")
    return model.get_ref("tok2vec").layers[2], lower, upper


def _fold(linear: Any, lower: Any) -> tuple[list[Floats], Floats, Floats]:
    """The linear layer folded into the lower one.

    Returns, with P pieces and H hidden units: for each of the three feature tokens (the current
    one, the open entity's first, and the one before the current) its weights (width, P * H); the
    bias (P * H,) while an entity is open; and the bias while none is, when padding takes the place
    of the other two tokens.
    """
    weights = lower.get_param("W").transpose(0, 2, 1, 3)  # (features, pieces, hidden, inputs)
    features, pieces, hidden, inputs = weights.shape
    weights = weights.reshape(features, pieces * hidden, inputs)
    bias = lower.get_param("b").T.reshape(-1)
    pad = lower.get_param("pad")[0].transpose(0, 2, 1).reshape(features, -1)
    projection, offset = linear.get_param("W"), linear.get_param("b")
    folded = [np.ascontiguousarray((each @ projection).T) for each in weights]
    offsets = weights @ offset
    return folded, bias + offsets.sum(axis=0), bias + offsets[0] + pad[1] + pad[2]
