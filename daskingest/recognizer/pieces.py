"""Tokenizes texts piece by piece, without creating spaCy's objects.

spaCy's tokenizer first splits a text at white space, and the tokens of each *piece* depend on that
piece alone. News consists mostly of pieces seen before, so their tokens are remembered, as numbers,
and `lookup` finds them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import IS_SPACE, LENGTH, ORTH, SPACY
from spacy.tokenizer import Tokenizer
from spacy.vocab import Vocab

from daskingest.recognizer.affixes import spared
from daskingest.recognizer.arrays import Attributes, Flags, Indices, Ints
from daskingest.recognizer.embedding import Unsupported
from daskingest.recognizer.encoder import Encoder
from daskingest.recognizer.lookup import Cut, Keys, Known, cut

if TYPE_CHECKING:
    from spacy.tokens import Doc

MAX_PIECES = 180_000
"""Pieces remembered before those not seen again are forgotten. At most about twice as many are in
memory, at 100 bytes each plus their strings in the vocabulary."""

# A token's record: its type, its length with these flags in the low bits, and its part in special
# cases.
_SPACE_AFTER, _IS_SPACE, _LENGTH_SHIFT = 1, 2, 2


class TokenizedTexts:
    """The tokens of several texts, concatenated: their records, and each text's number of them.

    `words` are the texts' numbers of words, which are what stands between white space.
    """

    def __init__(self, records: Ints, counts: Indices, words: Indices) -> None:
        self.records, self.counts, self.words = records, counts, words
        self.types, self._info, self._parts = records.T

    @property
    def spaces(self) -> Flags:
        flags: Flags = (self._info & _IS_SPACE) != 0
        return flags

    def offsets(self) -> tuple[Indices, Indices]:
        """Where each token starts and ends, in characters of its text."""
        lengths = (self._info >> _LENGTH_SHIFT).astype(np.intp)
        token_ends = np.cumsum(lengths + (self._info & _SPACE_AFTER))
        text_ends = np.cumsum(self.counts)
        text_starts = np.concatenate([[0], token_ends])[text_ends - self.counts]
        starts = (
            token_ends - lengths - (self._info & _SPACE_AFTER) - np.repeat(text_starts, self.counts)
        )
        return starts, starts + lengths

    def joints(self, cases: SpecialCases) -> Indices:
        """The tokens that may depend on the token after a space, see SpecialCases."""
        found = cases.may_join(self._parts[:-1], self._parts[1:])
        found &= (self._info[:-1] & _SPACE_AFTER) != 0
        text_ends = np.cumsum(self.counts)
        found[text_ends[(text_ends > 0) & (text_ends < len(self.types))] - 1] = False
        return np.flatnonzero(found)


class Pieces:
    """Tokenizes texts as a tokenizer does, into types of an encoder.

    Raises Unsupported for a tokenizer that may behave differently from spaCy's.
    """

    def __init__(self, tokenizer: Tokenizer, encoder: Encoder) -> None:
        self._cases = SpecialCases(tokenizer)
        self._model_tokenizer = tokenizer
        self._encoder = encoder
        self._columns = [*encoder.columns, ORTH, IS_SPACE, LENGTH, SPACY]
        self._known = Known()
        self._forget()
        self._generation = encoder.generation

    def read(self, texts: Sequence[str]) -> TokenizedTexts:
        """The texts' tokens, the same as the tokenizer's."""
        if self._generation != self._encoder.generation:
            self._generation = self._encoder.generation
            self._known = Known()
            self._forget()
        elif len(self._known) > MAX_PIECES:
            self._forget()
        pieces = cut(texts)
        numbers = self._known.numbers(pieces.keys)
        unknown = np.flatnonzero(numbers < 0)
        whole = "".join(texts)
        if len(unknown):
            keys, first = np.unique(pieces.keys[unknown], return_index=True)
            places = unknown[first].tolist()
            self._learn(keys, [whole[pieces.starts[i] : pieces.stops[i]] for i in places])
            numbers[unknown] = self._known.numbers(pieces.keys[unknown])
        return self._tokens(whole, pieces, numbers)

    def _forget(self) -> None:
        """Make the known pieces the older ones, which become known again when they are seen.

        The vocabulary is replaced too. It is not the model's: it lives longer than one batch, and
        computes only those attributes of a string that are needed here.
        """
        self._known, self._older = Known(), self._known
        getters = self._model_tokenizer.vocab.lex_attr_getters
        asked = {each: getters[each] for each in self._columns if each in getters}
        self._tokenizer = _copy(self._model_tokenizer, Vocab(lex_attr_getters=asked))

    def _learn(self, keys: Keys, pieces: Sequence[str]) -> None:
        older = self._older.numbers(keys)
        met = older >= 0
        self._known.add(keys[met], *self._older.rows(older[met]))
        # Line breaks separate the words, and are recognised as the only white space tokens.
        spaces = np.array([piece.isspace() for piece in pieces], bool)
        for i in np.flatnonzero(~met & spaces).tolist():
            records = self._records(self._tokenizer(pieces[i]))
            self._known.add(keys[i : i + 1], records, np.array([len(records)]))
        if words := np.flatnonzero(~met & ~spaces).tolist():
            records = self._records(self._tokenizer("\n".join(pieces[i] for i in words)))
            breaks = (records[:, 1] & _IS_SPACE) != 0
            lengths = np.diff(np.flatnonzero(breaks), prepend=-1, append=len(records)) - 1
            self._known.add(keys[words], records[~breaks], lengths)

    def _tokens(self, whole: str, pieces: Cut, numbers: Indices) -> TokenizedTexts:
        """The tokens of pieces, given by their numbers."""
        records, lengths = self._known.rows(numbers)
        ends = np.cumsum(lengths)
        records[ends[pieces.spaced] - 1, 1] |= _SPACE_AFTER
        text_ends = np.concatenate([[0], ends])[np.cumsum(pieces.counts)]
        tokenized = TokenizedTexts(records, np.diff(text_ends, prepend=0), pieces.words)
        joints = tokenized.joints(self._cases)
        if not len(joints):
            return tokenized
        joined = np.unique(np.searchsorted(ends, joints, side="right"))  # each with the next piece
        parts, done = [], 0
        for run in np.split(joined, np.flatnonzero(np.diff(joined) > 1) + 1):
            first, last = run[0], run[-1] + 1
            text = whole[pieces.starts[first] : pieces.stops[last] + pieces.spaced[last]]
            together = self._records(self._tokenizer(text))
            parts += [records[done : ends[first] - lengths[first]], together]
            done = ends[last]
            lengths[first : last + 1] = 0
            lengths[last] = len(together)
        parts.append(records[done:])
        text_ends = np.concatenate([[0], np.cumsum(lengths)])[np.cumsum(pieces.counts)]
        counts = np.diff(text_ends, prepend=0)
        return TokenizedTexts(np.concatenate(parts), counts, pieces.words)

    def _records(self, doc: Doc) -> Ints:
        array: Attributes = doc.to_array(self._columns)  # type: ignore[assignment]
        orth, is_space, length, space_after = array[:, -4:].T
        records = np.empty((len(array), 3), np.int32)
        records[:, 0] = self._encoder.types.number(array[:, :-4])
        records[:, 1] = length << np.uint64(_LENGTH_SHIFT)
        records[:, 1] += (space_after * _SPACE_AFTER + is_space * _IS_SPACE).astype(np.int32)
        records[:, 2] = self._cases.parts(orth)
        return records


def _copy(tokenizer: Tokenizer, vocab: Vocab, rules: Mapping[str, Any] | None = None) -> Tokenizer:
    """The same tokenizer with a vocabulary of its own, or with other special cases."""
    return Tokenizer(
        vocab,
        rules=tokenizer.rules if rules is None else rules,
        prefix_search=spared(tokenizer.prefix_search, None),
        suffix_search=spared(tokenizer.suffix_search, None),
        infix_finditer=spared(tokenizer.infix_finditer, ()),
        token_match=tokenizer.token_match,
        url_match=spared(tokenizer.url_match, None),
        faster_heuristics=tokenizer.faster_heuristics,
    )


class SpecialCases:
    """Which tokens, separated by a space, may be part of one of a tokenizer's special cases.

    The tokenizer looks for special cases of several tokens, such as ":-)", among the tokens of all
    pieces together, and of overlapping matches takes the longest. So if two tokens that are
    adjacent in a special case are separated only by a space, their pieces may depend on each other.

    Raises Unsupported for a tokenizer for which this can't be determined.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        if type(tokenizer) is not Tokenizer:
            raise Unsupported(f"its tokenizer is a {type(tokenizer).__name__}")
        without_cases = _copy(tokenizer, tokenizer.vocab, rules={})
        neighbours: set[tuple[int, int]] = set()
        # By the last (first) token of a case, what may be there instead.
        ends: dict[int, set[int]] = defaultdict(set)
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
        firsts, seconds = np.array(sorted(pairs), np.uint64).reshape(-1, 2).T
        self._leading, self._following = np.unique(firsts), np.unique(seconds)
        self._pairs = np.zeros((len(self._leading) + 1, len(self._following) + 1), bool)
        self._pairs[_place(self._leading, firsts), _place(self._following, seconds)] = True

    def parts(self, orths: NDArray[np.uint64]) -> Ints:
        """What `may_join` needs to know about tokens, given by their ORTH."""
        return _place(self._leading, orths) << 16 | _place(self._following, orths)

    def may_join(self, parts: Ints, next_parts: Ints) -> Flags:
        flags: Flags = self._pairs[parts >> 16, next_parts & 0xFFFF]
        return flags


def _place(known: NDArray[np.uint64], orths: NDArray[np.uint64]) -> Ints:
    """The index of each one among those known, from 1; 0 for others."""
    places = np.searchsorted(known, orths)
    found = known[np.minimum(places, len(known) - 1)] == orths
    return np.where(found, places + 1, 0).astype(np.int32)
