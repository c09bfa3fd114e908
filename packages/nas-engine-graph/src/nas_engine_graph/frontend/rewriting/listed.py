"""New lists and dicts of which TorchScript knows too little: a list of integers may be one of more.

It takes ``[1, 2]`` for a list of integers also where a variable was declared to be one of integers
that may be None.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

from nas_engine_graph.frontend.rewriting.declared import declared
from nas_engine_graph.frontend.source.places import frame_of, placed
from nas_engine_graph.frontend.source.sources import nodes_of

__all__ = ["Listed", "declare_listed", "listed_of"]

_LISTED = re.compile(
    r"Variable '\w+' previously had type ((?:List|Dict)\[[\w\[\], ]+\])(?: \(inferred\))? but is "
    r"now being assigned to a value of type (?:List|Dict)\["
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A line that sets a variable to a new list or dict.

    Attributes:
        file: where the function is.
        line: the line.
        kind: the type of the variable, in words of TorchScript.
    """

    file: str
    line: int
    kind: str


def listed_of(text: str) -> Listed | None:
    """The line, if this is why TorchScript refuses."""
    said, frame = _LISTED.search(text), frame_of(text)
    return Listed(frame.file, frame.line, said[1]) if said and frame else None


def declare_listed(tree: ast.AST, first: int, found: Iterable[Listed]) -> None:
    """Say of what type new lists and dicts are, in place.

    Args:
        tree: a function.
        first: the line of its file that is its first.
        found: what is known of its lines.
    """
    kinds = {lesson.line - first + 1: lesson.kind for lesson in found}
    for node in nodes_of(tree) if kinds else ():
        match node:
            case ast.Assign([ast.Name()], ast.List() | ast.Dict() as value) if kind := kinds.get(
                node.lineno
            ):
                node.value = declared(value, placed(ast.parse(kind, mode="eval").body, value))
