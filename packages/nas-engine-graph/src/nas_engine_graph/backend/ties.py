"""The statements that make one object of what is found at two places of a model."""

from __future__ import annotations

from typing import Any

from nas_engine_graph.backend.paths import attribute, member_path
from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import Attribute, End, Graph, Object, Tie

__all__ = ["tied"]


def tied(graph: Graph, tie: Tie) -> str:
    """The statement for a tie, in the constructor of the graph.

    >>> from nas_engine_graph.ir import Absent, Buffer, Fill
    >>> graph = Graph("Net", (("a", Buffer((2,), Fill(0))), ("b", Absent("buffer"))))
    >>> tied(graph, Tie(("b",), ("a",), ((1,), (1,), 1)))
    'self.b = self.a.as_strided((1,), (1,), 1)'
    """
    source = member_path(graph, tie.source)
    return _assigned(graph, tie.target, _seen(source, *tie.view) if tie.view else source)


def _seen(source: str, *view: Any) -> str:
    shape, strides, offset, *words = view
    source += ".data" if "data" in words else ".detach()" if "detach" in words else ""
    made = f"{source}.as_strided({shape}, {strides}, {offset})"
    if "parameter" in words:
        return f"nn.Parameter({made})"
    return f"nn.Parameter({made}, requires_grad=False)" if "frozen" in words else made


def _assigned(graph: Graph, target: End, value: str) -> str:
    """The statement that puts something at a place; a tuple around it is another one then."""
    *path, last = target
    owner, holder = member_path(graph, tuple(path)), _holder(graph, path)
    if isinstance(holder, tuple):
        (index,) = last
        rebuilt = f"(*{owner}[:{index}], {value}, *{owner}[{index + 1} :])"
        return _assigned(graph, tuple(path), rebuilt)
    if isinstance(last, tuple):
        return f"{member_path(graph, target)} = {value}"
    if isinstance(holder, Object) and _sets_otherwise(resolve(holder.target)):
        return f"object.__setattr__({owner}, {last!r}, {value})"
    made = member_path(graph, target)
    if made == attribute(owner, last) and made.startswith("getattr"):
        return f'setattr({owner}, "{last}", {value})'
    return f"{made} = {value}"


def _holder(graph: Graph, path: list[Any]) -> Any:
    """What of an attribute is at a place; None if this is no part of one."""
    found: Any = graph
    for step in path:
        match found:
            case Graph():
                member = found.table.get(step)
                found = member.value if isinstance(member, Attribute) else member
            case Object(_, fields):
                found = dict(fields)[step]
            case tuple() | list() | dict():
                found = found[step[0]]
            case _:
                return None
    return None if isinstance(found, Graph) else found


def _sets_otherwise(cls: Any) -> bool:
    return cls.__setattr__ is not object.__setattr__
