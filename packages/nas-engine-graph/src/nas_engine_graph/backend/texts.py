"""The text of functions that candidates share, and modules of one candidate: it is written once."""

from __future__ import annotations

from collections.abc import Iterator

from nas_engine_graph.backend.literal import Imports
from nas_engine_graph.backend.paths import member_path
from nas_engine_graph.backend.statements import Writer
from nas_engine_graph.ir import Function, Graph, Invoke, Read, Write, walk

__all__ = ["lines_of"]

_MOST = 64
"""So many texts of one function are remembered."""


def lines_of(
    function: Function,
    graph: Graph | None,
    imports: Imports,
    written: frozenset[str],
    local: frozenset[str],
) -> tuple[str, ...]:
    """The definition of a function.

    Args:
        function: what is written.
        graph: its module; None for a free function.
        imports: what the source imports, which knows all names of the user's; what the function
            needs is added.
        written: the names that any method sets.
        local: the names of free functions.
    """
    # It depends on the names around it, and on what its module calls what the function uses.
    used = tuple(member_path(graph, path) for path in _paths(function))
    key = (written, local, tuple(imports.names.items()), used)
    if key not in function.texts:
        if len(function.texts) >= _MOST:
            function.texts.clear()
        own = imports.apart()
        writer = Writer(function, graph, own, written, {*local, *imports.names})
        function.texts[key] = tuple(writer.lines()), own
    lines: tuple[str, ...]
    lines, own = function.texts[key]
    imports.add(own)
    return lines


def _paths(function: Function) -> Iterator[tuple[str, ...]]:
    """What a method calls, reads and sets of its module."""
    for node in walk(function.body):
        match node.operation:
            case Invoke(path) | Read(path) | Write(path):
                yield path
