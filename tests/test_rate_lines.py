"""The picture of the last minutes."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from daskingest.service.rates import Rate
from daskingest.web.rate_lines import rate_lines

rates = st.floats(0, 1e6)


@given(st.lists(st.tuples(st.floats(1, 9), rates, rates), min_size=2, max_size=50), st.booleans())
def test_lines_are_inside_and_their_names_apart(
    steps: list[tuple[float, float, float]], arrive: bool
) -> None:
    at, history = 0.0, []
    for step, accepted, saved in steps:
        at += step
        history.append(Rate(at, accepted, saved))
    root = ElementTree.fromstring(rate_lines(history, arrive))
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    for line in root.iter("polyline"):
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
    names = [each for each in root.iter("text") if each.attrib["class"] == "name"]
    assert [each.text for each in names] == ["coming in", "counted"][not arrive :]
    heights = [float(each.attrib["y"]) for each in names]
    assert len(heights) == 1 or abs(heights[0] - heights[1]) >= 13.9
    assert "at most" in root.attrib["aria-label"]


def test_a_moment_is_no_line() -> None:
    assert rate_lines([]) == rate_lines([Rate(1, 1, 1)]) == ""
