"""Charts as SVG, made on the server: no inline style and no script, so that any policy allows them.

Colours come from the style sheet by class. Each chart has a text alternative, and its numbers beside
it as text or in a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

WIDTH: Final = 640
HEIGHT: Final = 160
LEFT, RIGHT, TOP, BOTTOM = 8, 8, 20, 20
"""Space around the line for the labels."""
SPARK_WIDTH: Final = 64
SPARK_HEIGHT: Final = 20
BAR_WIDTH: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of a line. `at`: its place from left to right, in any unit."""

    at: float
    value: float
    label: str


def line_chart(points: Sequence[Point], *, title: str, name: str) -> SafeString:
    """A line with its lowest and highest value as labels; empty without points.

    `name`: unique on the page. The axis begins at zero, unless the values are close together.
    """
    if not points:
        return SafeString()
    low, high = _range([point.value for point in points])
    lowest = min(points, key=lambda point: point.value)
    highest = max(points, key=lambda point: point.value)
    summary = _("%(first)s to %(last)s: between %(low)s and %(high)s") % {
        "first": points[0].label,
        "last": points[-1].label,
        "low": f"{lowest.value:,.0f}",
        "high": f"{highest.value:,.0f}",
    }
    places = _places(points, low, high, WIDTH, HEIGHT, (LEFT, RIGHT, TOP, BOTTOM))
    return format_html(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="chart-{n}">'
        '<title id="chart-{n}">{title}. {summary}</title>'
        '<line class="chart-axis" x1="{left}" x2="{right}" y1="{base}" y2="{base}"/>'
        "{line}"
        '<text class="chart-label" x="{left}" y="12">{high}</text>'
        '<text class="chart-label" x="{left}" y="{under}">{first}</text>'
        '<text class="chart-label" x="{right}" y="{under}" text-anchor="end">{last}</text>'
        "</svg>",
        w=WIDTH,
        h=HEIGHT,
        n=name,
        title=title,
        summary=summary,
        left=LEFT,
        right=WIDTH - RIGHT,
        base=HEIGHT - BOTTOM,
        under=HEIGHT - 6,
        line=_line(places, "chart-line"),
        high=f"{highest.value:,.0f}",
        first=points[0].label,
        last=points[-1].label,
    )


def sparkline(values: Sequence[float]) -> SafeString:
    """A small line without text, for a cell whose text has the numbers; empty for one value."""
    if len(values) < 2:
        return SafeString()
    points = [Point(at=at, value=value, label="") for at, value in enumerate(values)]
    low, high = _range(values)
    places = _places(points, low, high, SPARK_WIDTH, SPARK_HEIGHT, (1, 1, 2, 2))
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" aria-hidden="true">{}</svg>',
        SPARK_WIDTH,
        SPARK_HEIGHT,
        SPARK_WIDTH,
        SPARK_HEIGHT,
        _line(places, "chart-line"),
    )


def bar(share: float) -> SafeString:
    """A bar as long as a share (0 to 1) of its cell, whose text has the number."""
    length = max(0.0, min(1.0, share)) * BAR_WIDTH
    return format_html(
        '<svg class="bar" viewBox="0 0 {} 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="bar-ground" width="{}" height="8"/>'
        '<rect class="bar-filled" width="{}" height="8"/></svg>',
        BAR_WIDTH,
        BAR_WIDTH,
        _plain(length),
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    # Where all values lie in the upper half, a line from zero would look flat.
    low = low - (high - low) if low > high / 2 else 0.0
    return low, high if high > low else low + 1.0


def _places(
    points: Sequence[Point],
    low: float,
    high: float,
    width: float,
    height: float,
    margins: tuple[float, float, float, float],
) -> list[tuple[float, float]]:
    left, right, top, bottom = margins
    first, last = points[0].at, points[-1].at
    span = (last - first) or 1.0
    return [
        (
            left + (point.at - first) / span * (width - left - right),
            top + (high - point.value) / (high - low) * (height - top - bottom),
        )
        for point in points
    ]


def _line(places: Sequence[tuple[float, float]], name: str) -> SafeString:
    if len(places) == 1:
        [(x, y)] = places
        return format_html(
            '<circle class="chart-dot" cx="{}" cy="{}" r="3"/>', _plain(x), _plain(y)
        )
    points_text = format_html_join(" ", "{},{}", ((_plain(x), _plain(y)) for x, y in places))
    return format_html(
        '<polyline class="{}" points="{}" fill="none" vector-effect="non-scaling-stroke"/>',
        name,
        points_text,
    )


def _plain(number: float) -> str:
    """Numbers in SVG's notation, in every language of the page."""
    return f"{number:.2f}".rstrip("0").rstrip(".")
