"""Charts: SVG that any policy lets through, and that says in words what it shows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.admin.charts import BAR_WIDTH, HEIGHT, WIDTH, Point, bar, line_chart, sparkline

NUMBERS = st.integers(0, 10**9)


def points(*values: float) -> list[Point]:
    return [Point(at=at, value=value, label=f"day {at}") for at, value in enumerate(values)]


def places(svg: str) -> list[tuple[float, float]]:
    line = ET.fromstring(svg).find("polyline")
    assert line is not None
    return [
        (float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())
    ]


def test_a_line_has_a_text_alternative() -> None:
    svg = line_chart(points(1200, 900, 2400), title="Users <all>", name="users")
    root = ET.fromstring(svg)
    title = root.find("title")
    assert title is not None
    assert title.text == "Users <all>. day 0 to day 2: between 900 and 2,400"
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == title.attrib["id"] == "chart-users"
    assert [text.text for text in root.findall("text")] == ["2,400", "day 0", "day 2"]


def test_the_highest_value_is_at_the_top() -> None:
    (_, first), (_, second), (_, third) = places(line_chart(points(5, 10, 1), title="x", name="x"))
    assert second < first < third


def test_a_line_keeps_its_distance_where_days_are_missing() -> None:
    days = [Point(at=at, value=1, label="") for at in (0, 1, 10)]
    xs = [x for x, _ in places(line_chart(days, title="x", name="x"))]
    assert (xs[2] - xs[1]) / (xs[1] - xs[0]) == pytest.approx(9, rel=0.01)


@pytest.mark.parametrize("value", [0, 7])
def test_one_point_and_a_flat_line(value: int) -> None:
    assert "<circle" in line_chart(points(value), title="x", name="x")
    assert len({y for _, y in places(line_chart(points(value, value), title="x", name="x"))}) == 1


def test_nothing_to_show() -> None:
    assert line_chart([], title="x", name="x") == ""
    assert sparkline([]) == sparkline([1]) == ""


@given(st.lists(NUMBERS, min_size=2, max_size=90))
def test_every_line_stays_inside(values: list[int]) -> None:
    found = places(line_chart(points(*values), title="x", name="x"))
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in found)
    assert len(found) == len(values)
    assert re.search(r"style|script", sparkline(values)) is None


@pytest.mark.parametrize(
    ("share", "length"),
    [(0, "0"), (0.25, "25"), (1, "100"), (7, "100"), (-1, "0"), (1 / 3, "33.33")],
)
def test_a_bar(share: float, length: str) -> None:
    ground, filled = ET.fromstring(bar(share)).findall("rect")
    assert ground.attrib["width"] == str(BAR_WIDTH)
    assert filled.attrib["width"] == length
