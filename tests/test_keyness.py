"""Keyness: which words are typical."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daskingest.web.keyness import typical_words

COUNTS = st.dictionaries(
    st.sampled_from("abcd"),
    st.dictionaries(st.sampled_from("uvwxyz"), st.integers(1, 1_000)),
    min_size=2,
)


@given(COUNTS, st.integers(1, 4))
def test_typical_words_are_in_order_and_few(counts: dict[str, dict[str, int]], most: int) -> None:
    found = typical_words(counts, most)
    assert found.keys() == counts.keys()
    for key, words in found.items():
        assert len(words) <= most
        assert [each.z for each in words] == sorted((each.z for each in words), reverse=True)
        for each in words:
            assert each.z > 0
            assert each.count == counts[key].get(each.word, 0)


def test_typical_words() -> None:
    counts = {
        "a": {"common": 1000, "mine": 100, "rare": 1},
        "b": {"common": 1000, "yours": 100},
    }
    found = typical_words(counts, 2)
    assert [each.word for each in found["a"]] == ["mine", "rare"]
    assert found["b"][0].word == "yours"
    assert found["a"][0].z > 1.96 > found["a"][1].z
    assert found["a"][0].elsewhere == 0
    assert typical_words({"a": {"x": 1}, "b": {"x": 2}}, 5) == {"a": [], "b": []}
