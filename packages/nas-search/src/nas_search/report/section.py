"""What a report is made of: sections with figures and the tables behind them, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Failure", "Figure", "Picture", "Section", "Table"]


@dataclass(frozen=True)
class Figure:
    """A figure as a Vega-Lite specification.

    Attributes:
        spec: the specification; names of fields are ours, whatever users call their things.
        label: what it shows, for those who don't see it.
        title: above it, if a section has several.
        least: pixels below which it is scrolled instead of being made narrower.
    """

    spec: Mapping[str, Any]
    label: str
    title: str = ""
    least: int = 0


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        caption: what it lists.
        columns: the headers.
        rows: a cell for each column.
        numbers: the columns that are aligned as numbers.
        closed: it stands behind a figure, and is shown when it is asked for.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()
    closed: bool = False


@dataclass(frozen=True)
class Failure:
    """An error, with the trials that failed with it and what a few of them left behind.

    Attributes:
        error: what it says.
        trials: their numbers, in words.
        count: how many there are.
        records: title and text: tracebacks, and the ends of logs.
    """

    error: str
    trials: str
    count: int
    records: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Picture:
    """A drawing as an SVG image, and the same as text."""

    svg: str
    text: str
    label: str


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        key: its place in the page, for links.
        title: its heading.
        text: a sentence or two below the heading.
        wide: it takes the whole width where others stand side by side.
    """

    key: str
    title: str
    text: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    failures: Sequence[Failure] = ()
    picture: Picture | None = None
    wide: bool = field(default=False)
