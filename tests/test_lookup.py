"""Texts are cut into the pieces that a regular expression finds, and pieces are found again."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskingest.recognizer.lookup import Cut, Known, cut

TEXTS = st.lists(st.text(st.sampled_from("ab \n\t\x85\u3000\u3001\u00e9\U0001f600"), max_size=30))


@given(TEXTS)
def test_pieces_are_what_stands_between_white_space(texts: list[str]) -> None:
    pieces, whole = cut(texts), "".join(texts)
    wanted = [re.findall(r"\S+ ?|\s+", text) for text in texts]
    assert pieces.counts.tolist() == [len(its) for its in wanted]
    assert pieces.words.tolist() == [len(text.split()) for text in texts]
    found = _strings(pieces, whole)
    words = [(each, not each.isspace()) for its in wanted for each in its]
    assert found == [each.removesuffix(" ") if word else each for each, word in words]
    assert pieces.spaced.tolist() == [each.endswith(" ") and word for each, word in words]
    assert len(set(pieces.keys.tolist())) == len(set(found))


def _strings(pieces: Cut, whole: str) -> list[str]:
    bounds = zip(pieces.starts.tolist(), pieces.stops.tolist(), strict=True)
    return [whole[start:stop] for start, stop in bounds]


def test_each_character_is_white_space_as_in_python() -> None:
    characters = [chr(code) for code in range(0x11000) if not 0xD800 <= code < 0xE000]
    pieces = cut(["." + each for each in characters if each != " "])
    spaces = [each.isspace() for each in characters if each != " "]
    assert (pieces.counts == np.where(spaces, 2, 1)).all()


def test_pieces_are_found_again_however_many_there_are() -> None:
    known, random_numbers = Known(), np.random.default_rng(0)
    keys = np.unique(random_numbers.integers(2**63, size=60_000, dtype=np.uint64) << np.uint64(13))
    assert (known.numbers(keys) == -1).all()
    lengths = np.arange(len(keys)) % 3
    rows = np.arange(3 * lengths.sum(), dtype=np.int32).reshape(-1, 3)
    begun = 0
    for part in np.array_split(np.arange(len(keys)), [1, 1, 5_000, 5_010]):
        of_part = rows[begun : begun + lengths[part].sum()]
        known.add(keys[part], of_part, lengths[part])
        begun += len(of_part)
    numbers = known.numbers(keys)
    assert (numbers == np.arange(len(keys))).all()
    chosen = numbers[[7, 2, 7, 0]]
    found, of_each = known.rows(chosen)
    assert of_each.tolist() == [1, 2, 1, 0]
    starts = np.cumsum(lengths) - lengths
    assert found[:, 0].tolist() == [
        3 * i for n in chosen for i in range(starts[n], starts[n] + n % 3)
    ]
    assert known.numbers(np.array([3], np.uint64)) == [-1]


def test_half_a_surrogate_pair() -> None:
    with pytest.raises(UnicodeEncodeError):
        cut(["\ud800"])
