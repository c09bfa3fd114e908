"""The part of the user's source that TorchScript marks as the place of a node."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from typing import Any

__all__ = ["first_mark", "marked", "marked_text"]

_CLOSING = {"(": ",)", "[": "]", "{": "}"}
_OPENING = {")": "(", "]": "[", "}": "{"}
_MARK = re.compile(r"^\s*(~+)( <--- HERE)?\s*$")


def marked(node: Any) -> ast.expr | None:
    """The expression, if what is marked is one."""
    try:
        return ast.parse(f"({_completed(marked_text(node))})", mode="eval").body
    except SyntaxError:
        return None


def _completed(text: str) -> str:
    """The text with the brackets that TorchScript leaves out where it marks an expression."""
    before, after = "", ""
    for character in text:
        if character in _CLOSING:
            after = _CLOSING[character] + after
        elif character in ")]}" and after:
            after = after[after.index(character) + 1 :]
        elif character in ")]}":
            before = _OPENING[character] + before
    return before + text + after


def first_mark(text: str) -> int:
    """The column at which begins what TorchScript marks in what it says."""
    found = filter(None, map(_MARK.match, text.splitlines()))
    return next((mark.start(1) for mark in found), 0)


def marked_text(node: Any) -> str:
    """The marked part of the lines that TorchScript shows as the place of a node."""
    lines = node.sourceRange().splitlines()
    parts = []
    for line, mark in pairwise(lines):
        if found := _MARK.match(mark):
            start, end = found.span(1)
            parts.append(line[start:end])
    return "\n".join(parts)
