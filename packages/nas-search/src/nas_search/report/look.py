"""How figures look: in the colours of the page, which are those of the reader's system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nas_search.report.subject import STATES

if TYPE_CHECKING:
    import altair as alt

__all__ = ["CONFIG", "FONT", "color", "measured", "short", "spec", "states", "whole"]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

# Colours are variables of the style sheet, so that a figure follows it without being drawn again.
CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "font": FONT,
    "padding": 4,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "labelFontSize": 11.5,
        "labelLimit": 130,
        "titleColor": "var(--text)",
        "titleFontSize": 12,
        "titleFontWeight": 500,
        "titleLimit": 260,
        "titlePadding": 8,
        "gridColor": "var(--grid)",
        "domainColor": "var(--axis)",
        "tickColor": "var(--axis)",
    },
    "axisY": {"domain": False, "ticks": False, "labelPadding": 6, "tickCount": 5},
    "axisX": {"grid": False, "tickCount": 6, "labelFlush": True},
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": "var(--text)",
        "labelFontSize": 12,
        "labelLimit": 220,
        "symbolSize": 70,
        "offset": 8,
        "columnPadding": 14,
    },
    "text": {"font": FONT},
}
"""The configuration of all figures."""

_SHAPES = ("circle", "diamond", "cross", "triangle-up", "square")


def color(name: str) -> str:
    """A colour of the style sheet, for the range of a scale.

    >>> color("failed")
    'var(--failed)'
    """
    return f"var(--{name})"


def states(seen: Sequence[str]) -> tuple[alt.Scale, alt.Scale]:
    """The colours and the shapes of states, those that were seen."""
    import altair as alt

    known = [state for state in STATES if state in seen]
    shapes = [_SHAPES[STATES.index(state)] for state in known]
    colors = alt.Scale(domain=known, range=[color(state) for state in known])
    return colors, alt.Scale(domain=known, range=shapes)


def measured(values: Sequence[float | None]) -> alt.Axis:
    """An axis of values; where all are one, its only tick says it to five digits."""
    import altair as alt

    return alt.Axis(format=".5~g") if len({*values} - {None}) == 1 else alt.Axis()


def short(values: Sequence[float | None]) -> alt.Axis:
    """An axis of values; thousands and more are written with a prefix, such as 20k.

    Less than that is not: 20m of a loss would be read as millions.
    """
    import altair as alt

    largest = max((abs(value) for value in values if value is not None), default=0.0)
    return alt.Axis(format="~s") if largest >= 1000 else measured(values)


def whole(numbers: Sequence[int]) -> alt.Axis:
    """An axis of whole numbers, with no tick between two of them."""
    import altair as alt

    span = max(numbers, default=0) - min(numbers, default=0)
    return alt.Axis(format="d", tickCount=max(1, min(6, span)))


def spec(chart: alt.Chart | alt.LayerChart | alt.FacetChart, height: int) -> dict[str, Any]:
    """A chart as wide as its place, as a specification for the page."""
    made: dict[str, Any] = chart.properties(width="container", height=height).to_dict()
    made.pop("config", None)  # Altair's own; that of the page is given when it is drawn
    return made
