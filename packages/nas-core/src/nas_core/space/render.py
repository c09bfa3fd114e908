"""A space as text and as HTML, for people."""

from __future__ import annotations

import html as _html
from typing import TYPE_CHECKING

from nas_core.choice import Choice, Subset
from nas_core.errors import SpaceTooLargeError
from nas_core.space.conditions import condition_text

if TYPE_CHECKING:
    from nas_core.space.space import Space

__all__ = ["html", "text"]


def _size(space: Space) -> str:
    try:
        return f"{space.size(limit=20_000):,} architectures"
    except SpaceTooLargeError:
        return "more architectures than are quickly counted"


def _domain(choice: Choice) -> str:
    if isinstance(choice.domain, Subset):
        k = "any" if choice.domain.n_chosen is None else choice.domain.n_chosen
        return f"{k} of {choice.domain.n} inputs"
    return " | ".join(map(repr, choice.domain.options()))


def _rows(space: Space) -> list[tuple[str, str, str]]:
    rows = []
    for label, choice in space.choices.items():
        known = space.conditions.get(label)
        active = "?" if known is None else f"if {condition_text(known)}" if known else ""
        rows.append((label, _domain(choice), active))
    return rows


def _notes(space: Space) -> list[str]:
    notes = [constraint.name for constraint in space.constraints if constraint.shown]
    if not space.complete:
        notes.append("choose decides in more ways than were tried: there may be further choices")
    return notes


def text(space: Space) -> str:
    """A line for each choice: label, options, and when it is active."""
    rows = _rows(space)
    widths = [max((len(row[i]) for row in rows), default=0) for i in (0, 1)]
    lines = [f"Space of {_size(space)}"]
    for label, options, active in rows:
        lines.append(f"  {label:<{widths[0]}}  {options:<{widths[1]}}  {active}".rstrip())
    lines += [f"  where {note}" for note in _notes(space)]
    return "\n".join(lines)


def html(space: Space) -> str:
    """A table for notebooks."""
    head = _cells("th", ("choice", "options", "active"))
    body = "".join(_cells("td", row) for row in _rows(space))
    where = "".join(f"<p>where {_html.escape(note)}</p>" for note in _notes(space))
    return (
        f"<p>Space of {_html.escape(_size(space))}</p>"
        f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{where}"
    )


def _cells(kind: str, texts: tuple[str, ...]) -> str:
    style = ' style="text-align: left"'  # Notebooks align to the right.
    cells = "".join(f"<{kind}{style}>{_html.escape(text)}</{kind}>" for text in texts)
    return f"<tr>{cells}</tr>"
