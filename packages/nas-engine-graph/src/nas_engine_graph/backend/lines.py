"""Which line of the user's code each line of a source is from, so that errors can name it."""

from __future__ import annotations

from collections.abc import Iterable

from nas_core.errors import Place

__all__ = ["Places", "marked", "parted"]

Places = tuple[tuple[int, Place], ...]
"""The number of a line, and where that is from."""

_MARK = "\0"  # It is in no text of Python.


def marked(lines: list[str], place: Place | None) -> list[str]:
    """The lines of a statement, those that have no mark yet with one that says where it is from."""
    if place is None:
        return lines
    mark = f"{_MARK}{place.file}{_MARK}{place.line}"
    return [line if _MARK in line else line + mark for line in lines]


def parted(lines: Iterable[str], first: int) -> tuple[list[str], Places]:
    """The lines without their marks, and what these say.

    Args:
        lines: some may have one.
        first: the number of the first line.

    >>> lines = ["def f(x):", *marked(["    return x.t()"], Place("net.py", 7))]
    >>> parted(lines, 1)
    (['def f(x):', '    return x.t()'], ((2, Place(file='net.py', line=7)),))
    """
    found, places = [], []
    for number, line in enumerate(lines, first):
        text, *mark = line.split(_MARK)
        found.append(text)
        if mark:
            file, place = mark
            places.append((number, Place(file, int(place))))
    return found, tuple(places)
