"""Word clouds: no word is over another, all are inside, and nothing in a word is markup."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from daskingest.stores import Word
from daskingest.web.cloud import HEIGHT, WIDTH, cloud, place, width_of

SVG = "{http://www.w3.org/2000/svg}"

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = st.one_of(
    st.text(characters, min_size=1, max_size=60),
    st.text("wil ", min_size=1, max_size=40),
    st.sampled_from(["<script>", "&amp;", "\x01\x1f\ufffe", "北京", "\u202eevil", "W" * 256]),
)
labels = st.dictionaries(st.sampled_from(["PERSON", "GPE", "X"]), st.integers(1, 9), max_size=2)


@st.composite
def words(draw: st.DrawFn) -> list[Word]:
    names = draw(st.lists(texts, max_size=45, unique=True))
    counts = sorted(draw(st.lists(st.integers(1, 10**9), min_size=45, max_size=45)), reverse=True)
    return [
        Word(name, count, draw(labels))
        for name, count in zip(names, counts[: len(names)], strict=True)
    ]


@given(words())
def test_words_do_not_overlap_and_are_inside(given: list[Word]) -> None:
    placed = place(given)
    for each in placed:
        assert each.width / 2 <= each.x <= WIDTH - each.width / 2
        assert each.height / 2 <= each.y <= HEIGHT - each.height / 2
        assert width_of(each.text) * each.size < each.width
    for one, other in itertools.combinations(placed, 2):
        apart_x = abs(one.x - other.x) >= (one.width + other.width) / 2
        assert apart_x or abs(one.y - other.y) >= (one.height + other.height) / 2
    assert [each.word for each in placed[:1]] == given[:1]
    assert placed == place(given)


@given(words())
def test_a_cloud_is_svg_whatever_words_are(given: list[Word]) -> None:
    root = ElementTree.fromstring(cloud(given, "<b>\x01what"))
    assert root.attrib["aria-label"] == "<b>\ufffdwhat"
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        *("svg", "style", "rect", "a", "title", "text")
    }
    links = root.findall(f"{SVG}a")
    assert len(links) == len(place(given))
    for link in links:
        assert link.attrib["href"].startswith("word?word=")
        assert link.attrib["aria-label"].endswith(("mention", "mentions"))


def test_sizes_are_square_roots_of_counts() -> None:
    names = ["paris", "london", "berlin"]
    placed = place([Word(name, n, {}) for name, n in zip(names, (400, 100, 1), strict=True)])
    large, middle, small = (each.size for each in placed)
    assert large == 2 * middle
    assert middle > 10 > small / 2  # the smallest can be read


def test_most_words_find_a_place() -> None:
    several = [Word(f"some name {i}", 4_000 // (i + 1), {"GPE": 1}) for i in range(45)]
    assert len(place(several)) >= 30
