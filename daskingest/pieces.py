"""Read texts as a model's tokens without making spaCy's objects, piece by piece.

spaCy's tokenizer takes a text apart at white space first, and what it makes of a *piece* depends on
that piece alone. News is made of pieces seen before, so their tokens are remembered, as numbers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IS_SPACE, LENGTH, ORTH, SPACY
from spacy.tokenizer import Tokenizer

from daskingest.embedding import Attributes, Flags, Indices, Ints, Unsupported
from daskingest.encoder import Encoder

if TYPE_CHECKING:
    from spacy.tokens import Doc

MAX_PIECES = 60_000
"""Pieces remembered before those not met again are forgotten; at most twice as many are held, at
about 250 bytes each."""

# A space behind anything but white space belongs to the token before it; all other white space
# is tokens of its own.
_OWN_SPACE = re.compile(r" (?<!\S )")
_TOKENS_SPACE = re.compile(r" (?<=\S )")
_RUNS = re.compile(r"\s+|\S+")

# A token's record: its type, its length with these flags below it, and its part in special cases.
_SPACE_BEHIND, _IS_SPACE, _LENGTH_SHIFT = 1, 2, 2
_RECORD = 3 * 4  # bytes


class Reading:
    """Texts as tokens, behind each other."""

    def __init__(self, records: Sequence[bytes]) -> None:
        self.counts = np.array([len(each) // _RECORD for each in records], np.intp)
        array = np.frombuffer(b"".join(records), np.int32).reshape(-1, 3)
        self.types, self._info, self._parts = array.T

    @property
    def spaces(self) -> Flags:
        flags: Flags = (self._info & _IS_SPACE) != 0
        return flags

    def offsets(self) -> tuple[Indices, Indices]:
        """Where each token starts and ends, in characters of its text."""
        lengths = (self._info >> _LENGTH_SHIFT).astype(np.intp)
        behind = np.cumsum(lengths + (self._info & _SPACE_BEHIND))
        text_ends = np.cumsum(self.counts)
        text_starts = np.concatenate([[0], behind])[text_ends - self.counts]
        starts = (
            behind - lengths - (self._info & _SPACE_BEHIND) - np.repeat(text_starts, self.counts)
        )
        return starts, starts + lengths

    def joints(self, cases: SpecialCases) -> dict[int, list[int]]:
        """By text, the pieces that may depend on the one behind them, see SpecialCases."""
        found = cases.may_join(self._parts[:-1], self._parts[1:])
        space_behind = self._info & _SPACE_BEHIND
        tokens = np.flatnonzero(found & (space_behind[:-1] == _SPACE_BEHIND))
        if not len(tokens):
            return {}
        text_ends = np.cumsum(self.counts)
        texts = np.searchsorted(text_ends, tokens, side="right")
        pieces = np.cumsum(space_behind) - space_behind  # each ends in a space, or is told so
        first = pieces[np.minimum(text_ends - self.counts, len(pieces) - 1)]
        joints: dict[int, list[int]] = defaultdict(list)
        for text, token in zip(texts.tolist(), tokens.tolist(), strict=True):
            if token + 1 < text_ends[text]:
                joints[text].append(int(pieces[token] - first[text]))
        return joints


class Pieces:
    """What a tokenizer makes of texts, as types of an encoder.

    Raises Unsupported for a tokenizer that may do otherwise than spaCy's.
    """

    def __init__(self, tokenizer: Tokenizer, encoder: Encoder) -> None:
        self._tokenizer = tokenizer
        self._encoder = encoder
        self._known: dict[str, bytes] = {}
        self._older: dict[str, bytes] = {}  # what was known before; met again, it is known again
        self._generation = encoder.generation
        self._columns = [*encoder.columns, ORTH, IS_SPACE, LENGTH, SPACY]
        self._cases = SpecialCases(tokenizer)

    def read(self, texts: Sequence[str]) -> Reading:
        """The texts' tokens: the ones that the tokenizer makes of each."""
        if self._generation != self._encoder.generation:
            self._generation = self._encoder.generation
            self._known, self._older = {}, {}
        elif len(self._known) > MAX_PIECES:
            self._known, self._older = {}, self._known
        pieces = [_pieces(text) for text in texts]
        self._learn(set().union(*pieces) - self._known.keys())
        reading = self._reading(pieces)
        if joints := reading.joints(self._cases):
            for text, its_joints in joints.items():
                pieces[text] = _joined(pieces[text], its_joints)
                for piece in set(pieces[text]) - self._known.keys():
                    self._known[piece] = _with_space_behind(self._records(self._tokenizer(piece)))
            reading = self._reading(pieces)
        return reading

    def _reading(self, pieces: Sequence[Sequence[str]]) -> Reading:
        return Reading([b"".join(map(self._known.__getitem__, each)) for each in pieces])

    def _learn(self, unknown: set[str]) -> None:
        unknown = self._recall(unknown)
        runs = {piece: _RUNS.findall(piece) for piece in unknown}
        parts = self._recall(set().union(*runs.values()) - self._known.keys())
        words = [part for part in parts if not part.isspace()]
        for part in parts.difference(words):
            self._known[part] = _with_space_behind(self._records(self._tokenizer(part)))
        if words:
            # Line breaks keep words apart, and are known by being the only white space.
            records = self._records(self._tokenizer("\n".join(words)))
            breaks = np.flatnonzero(records[:, 1] & _IS_SPACE)
            for word, its in zip(words, np.split(records, breaks), strict=True):
                self._known[word] = _with_space_behind(its[1:] if its[0, 1] & _IS_SPACE else its)
        for piece, its_runs in runs.items():
            if len(its_runs) > 1:
                self._known[piece] = self._without_spaces(its_runs)

    def _recall(self, unknown: set[str]) -> set[str]:
        """Take over what was known before, and give the others."""
        met = unknown & self._older.keys()
        self._known.update((piece, self._older[piece]) for piece in met)
        return unknown - met

    def _without_spaces(self, runs: Iterable[str]) -> bytes:
        """The tokens of a piece that holds white space: its runs', with no space behind them."""
        parts = [np.frombuffer(self._known[run], np.int32).reshape(-1, 3).copy() for run in runs]
        for part in parts[:-1]:
            part[-1, 1] &= ~_SPACE_BEHIND
        return np.concatenate(parts).tobytes()

    def _records(self, doc: Doc) -> Ints:
        array: Attributes = doc.to_array(self._columns)  # type: ignore[assignment]
        orth, is_space, length, space_behind = array[:, -4:].T
        records = np.empty((len(array), 3), np.int32)
        records[:, 0] = self._encoder.types.number(array[:, :-4])
        records[:, 1] = length << np.uint64(_LENGTH_SHIFT)
        records[:, 1] += (space_behind * _SPACE_BEHIND + is_space * _IS_SPACE).astype(np.int32)
        records[:, 2] = self._cases.parts(orth)
        return records


def _pieces(text: str) -> list[str]:
    pieces = _TOKENS_SPACE.split(text) if _OWN_SPACE.search(text) else text.split(" ")
    if not pieces[-1]:
        pieces.pop()
    return pieces


def _joined(pieces: Sequence[str], joints: Sequence[int]) -> list[str]:
    """The pieces, those at `joints` made one with the piece behind them."""
    joined: list[str] = []
    start = 0
    for end in sorted(set(range(len(pieces))).difference(joints)):
        joined.append(" ".join(pieces[start : end + 1]))
        start = end + 1
    return joined


def _with_space_behind(records: Ints) -> bytes:
    records = records.copy()
    records[-1, 1] |= _SPACE_BEHIND
    return records.tobytes()


class SpecialCases:
    """Between which tokens a space may hide one of a tokenizer's special cases.

    The tokenizer looks for special cases of several tokens, such as ":-)", among the tokens of all
    pieces together, and of overlapping finds takes the longest. So where two tokens that stand side
    by side in one are apart by a space only, their pieces may depend on each other.

    Raises Unsupported for a tokenizer of which this can't be told.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        if type(tokenizer) is not Tokenizer:
            raise Unsupported(f"its tokenizer is a {type(tokenizer).__name__}")
        affixes = ("prefix_search", "suffix_search", "infix_finditer", "token_match", "url_match")
        rules = {affix: getattr(tokenizer, affix) for affix in affixes}
        without_cases = Tokenizer(tokenizer.vocab, **rules)
        neighbours: set[tuple[int, int]] = set()
        ends: dict[int, set[int]] = defaultdict(
            set
        )  # a case's end, to what may stand there instead
        starts: dict[int, set[int]] = defaultdict(set)
        for case in tokenizer.rules:
            tokens, instead = without_cases(case), tokenizer(case)
            if len(tokens) > 1 and any(token.is_space for token in tokens):
                raise Unsupported(f"its tokenizer has a special case with white space: {case!r}")
            orths = [token.orth for token in tokens]
            neighbours.update(pairwise(orths))
            ends[orths[-1]].add(instead[-1].orth)
            starts[orths[0]].add(instead[0].orth)
        pairs = {pair for a, b in neighbours for pair in product({a, *ends[a]}, {b, *starts[b]})}
        self._leading = np.array(sorted({a for a, _ in pairs}), np.uint64)
        self._following = np.array(sorted({b for _, b in pairs}), np.uint64)
        self._pairs = np.zeros((len(self._leading) + 1, len(self._following) + 1), bool)
        for a, b in pairs:
            places = self.parts(np.array([a, b], np.uint64))
            self._pairs[places[0] >> 16, places[1] & 0xFFFF] = True

    def parts(self, orths: NDArray[np.uint64]) -> Ints:
        """What `may_join` asks of tokens, given by their ORTH."""
        return _place(self._leading, orths) << 16 | _place(self._following, orths)

    def may_join(self, parts: Ints, next_parts: Ints) -> Flags:
        flags: Flags = self._pairs[parts >> 16, next_parts & 0xFFFF]
        return flags


def _place(known: NDArray[np.uint64], orths: NDArray[np.uint64]) -> Ints:
    """Each one's place among those known, from 1; 0 for others."""
    places = np.searchsorted(known, orths)
    found = known[np.minimum(places, len(known) - 1)] == orths
    return np.where(found, places + 1, 0).astype(np.int32)
