"""Pictures: where things are in them, and that they can stand alone."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from daskingest.stores.periods import EVER, Period
from daskingest.web.pictures.axes import decades_around, rounds, rounds_between
from daskingest.web.pictures.bars import Bar, bars
from daskingest.web.pictures.log_odds import Placed, log_odds
from daskingest.web.pictures.multiples import Panel, multiples
from daskingest.web.pictures.over_time import Series, apart, columns, lines
from daskingest.web.pictures.picture import BROAD, NARROW, Canvas, Figure, Picture, width_of
from daskingest.web.pictures.steps import STEPS, step_for, step_text

JANUARY = 46 * 12  # of 2016
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>\x0b\ufffe&\"'\u202e{{ 7 }}"


def drawn(picture: Picture | None, width: int = BROAD) -> ElementTree.Element:
    """What the picture draws, as XML."""
    assert picture is not None
    content = picture.draw(Canvas(width)).content
    return ElementTree.fromstring(f'<svg xmlns="{SVG[1:-1]}">{content}</svg>')


def told(root: ElementTree.Element) -> list[str]:
    """What the marks tell."""
    return [each.text or "" for each in root.iter(f"{SVG}title")]


def pictures(name: str = "A") -> list[Picture | None]:
    """One of each kind."""
    series = [Series(name, {JANUARY: 1.0, JANUARY + 1: 0.0, JANUARY + 5: 9.0}), Series("B", {})]
    panels = [Panel(each, "word?word=a", "per 1,000 articles") for each in series]
    return [
        lines(series, name),
        lines(series, name, log=True),
        columns(
            series[0], name, 1, EVER, lambda since, until: f"p?since={since}&amp;until={until}"
        ),
        multiples(panels, name, (JANUARY, JANUARY + 5), 1),
        bars([Bar(name, 3.0, "word?word=a"), Bar("B", 0.0, "word?word=b")], name),
        log_odds([Placed(name, 9, 1, 2.5), Placed("b", 0, 1, -0.1)], name, "B"),
    ]


def test_steps_of_time() -> None:
    texts = [step_text(JANUARY + 3, step) for step in STEPS.values()]
    assert texts == ["2016-04", "2016 Q2", "2016", "2016s"]
    assert step_text(-120, 120) == "1960s"
    spans = (1, 72, 73, 216, 217, 864, 865)
    found = [step_for([JANUARY, JANUARY + span - 1]) for span in spans]
    assert found == [1, 1, 3, 3, 12, 12, 120]
    assert step_for([]) == 1


@given(st.floats(1e-6, 1e9))
def test_axes_have_few_round_values(high: float) -> None:
    found = rounds(high)
    assert 2 <= len(found) <= 5
    assert found[0] == 0
    assert found[-1] >= high * 0.998
    assert all(each.is_integer() for each in rounds(high, whole=True))
    low, top = decades_around([high, 0.0])
    assert low <= high * 1.0001
    assert top >= high * 0.9999
    assert top >= 10 * low * 0.99
    assert all(0.8 <= each <= high + 1 for each in rounds_between(0.8, high + 1))


@given(st.lists(st.floats(0, 200), max_size=6))
def test_names_of_lines_stand_apart(wanted: list[float]) -> None:
    found = apart(sorted(wanted), 15, 12, 252)
    assert all(b - a >= 15 - 1e-6 for a, b in itertools.pairwise(found))
    assert all(12 <= each <= 252 for each in found)


def test_a_line_has_gaps_and_a_zero() -> None:
    series = [Series("A", {0: 4.0, 1: 5.0, 3: 7.0}, {0: "four"}), Series("B", {0: 0.0})]
    root = drawn(lines(series, "Mentions"))
    assert len(root.findall(f".//{SVG}polyline")) == 1
    alone = [each for each in root.iter(f"{SVG}circle") if each.get("class") == "alone"]
    assert len(alone) == 2  # of A's last month, and of B
    assert told(root) == [
        "A, 1970-01: four",
        "A, 1970-02: 5",
        "A, 1970-04: 7",
        "B, 1970-01: 0",
    ]
    zero = max(float(each.get("y1", "0")) for each in root.iter(f"{SVG}line"))
    assert list(root.iter(f"{SVG}circle"))[-1].get("cy") == f"{zero:g}"
    assert lines([Series("A", {})], "Mentions") is None


def test_a_logarithmic_line_shows_zeros_apart() -> None:
    root = drawn(lines([Series("A", {0: 0.0, 1: 100.0, 2: 1000.0})], "Mentions", log=True))
    hollow = [each for each in root.iter(f"{SVG}circle") if each.get("stroke-dasharray")]
    assert len(hollow) == 1
    [line] = root.findall(f".//{SVG}polyline")
    assert len(line.get("points", "").split()) == 2


def test_columns_lead_to_their_months() -> None:
    series = Series("articles", {JANUARY: 3.0, JANUARY + 3: 4.0})
    picture = columns(series, "Articles", 3, Period(JANUARY, JANUARY), lambda a, b: f"{a} {b}")
    root = drawn(picture)
    links = [each.get("href") for each in root.iter(f"{SVG}a")]
    assert links == ["2016-01 2016-03", "2016-04 2016-06"]
    assert [each.text for each in root.findall(f".//{SVG}text[@class='value']")] == list("01234")
    pale = [each.get("fill-opacity") for each in root.iter(f"{SVG}rect")]
    assert pale == [None, ".3"]


def test_the_highest_value_of_a_panel_is_told() -> None:
    panels = [Panel(Series(f"w{i}", {0: 1.0, 2: i + 2.0}), "x", "per 1,000") for i in range(20)]
    root = drawn(multiples(panels, "Words", (0, 2), 1))
    assert told(root)[:2] == [f"w{i}: highest {i + 2} per 1,000 in 1970-03" for i in range(2)]
    assert len(told(root)) == 12


@pytest.mark.parametrize("number", [1, 3, 25])
def test_bars_leave_no_gap_below_them(number: int) -> None:
    picture = bars([Bar(f"b{i}", 30.0 - i, "x") for i in range(number)], "Bars")
    assert picture is not None
    height = picture.draw(Canvas(BROAD)).height
    root = drawn(picture)
    lowest = max(
        float(each.get("y", "0")) + float(each.get("height", "0"))
        for each in root.iter(f"{SVG}rect")
    )
    assert 0 <= height - lowest < 10


words = st.lists(
    st.builds(
        Placed,
        st.text("abcdefgh ", min_size=1, max_size=30),
        st.integers(0, 5_000),
        st.integers(1, 5_000),
        st.floats(-20, 20),
    ),
    min_size=1,
    max_size=150,
)


@settings(max_examples=60, deadline=None)
@given(words, st.sampled_from([BROAD, NARROW]))
def test_names_of_words_are_not_over_each_other(words: list[Placed], width: int) -> None:
    """Each is inside the picture, too."""
    root = drawn(log_odds(words, "A", "B"), width)
    boxes = []
    for group in root.iter(f"{SVG}g"):
        for each in group.findall(f"{SVG}text[@class='start']"):
            x, y = float(each.get("x", "0")), float(each.get("y", "0"))
            boxes.append((x, x + width_of(each.text or "", 11), y - 10, y + 3))
    for (a, b, c, d), (e, f, g, h) in itertools.combinations(boxes, 2):
        assert not (a < f - 0.2 and e < b - 0.2 and c < h - 0.2 and g < d - 0.2)
    assert all(a >= 0 and b <= width for a, b, _, _ in boxes)


def test_what_is_strongest_is_named() -> None:
    root = drawn(log_odds([Placed("NASA", 90, 1, 9.0), Placed("Rome", 2, 80, -8.0)], "A", "B"))
    named = [each.text for each in root.iter(f"{SVG}text")]
    assert not {"NASA", "Rome", "more in A", "more in B"} - set(named)
    assert "NASA: 90 in A, 1 in B; z 9.0" in told(root)


@pytest.mark.parametrize("place", range(6))
def test_a_picture_alone_is_a_file_that_any_program_draws(place: int) -> None:
    picture = pictures(HOSTILE)[place]
    assert picture is not None
    text = Figure(HOSTILE * 9, picture, HOSTILE * 9).alone().decode()
    root = ElementTree.fromstring(text)
    names = {each.tag.removeprefix(SVG) for each in root.iter()}
    assert names <= {
        *("svg", "style", "rect", "text", "g", "line", "title"),
        *("polyline", "circle", "path"),
    }
    style = root.findtext(f"{SVG}style") or ""
    assert "var(" not in style
    assert root.get("width", "").isdecimal()
    assert not re.search(r"\shref=|\son\w+=|<script", text)
    inline = str(escape(picture))
    assert "<script" not in inline
    assert inline.count("<svg") == 2
