"""The statements that make one object of what is found at two places of a model."""

from __future__ import annotations

from typing import Any

from nas_engine_graph.backend.literal import in_role
from nas_engine_graph.backend.paths import attribute, member_path
from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import (
    Attribute,
    Data,
    End,
    Graph,
    Layer,
    Object,
    Parameter,
    Role,
    Tie,
)
from nas_engine_graph.ir.strides import compact

__all__ = ["is_parameter", "tied", "unregistered"]


def tied(graph: Graph, tie: Tie) -> str:
    """The statement for a tie, in the constructor of the graph.

    >>> from nas_engine_graph.ir import Absent, Buffer, Fill
    >>> graph = Graph("Net", (("a", Buffer((2,), Fill(0))), ("b", Absent("buffer"))))
    >>> tied(graph, Tie(("b",), ("a",), ((1,), (1,), 1)))
    'self.b = self.a.as_strided((1,), (1,), 1)'
    """
    source = member_path(graph, tie.source)
    value = _seen(source, *tie.view) if tie.view else source
    if _is_attribute(graph, tie.target) and _may_be_parameter(graph, tie):
        owner = member_path(graph, tie.target[:-1])
        return unregistered(owner, tie.target[-1], value)
    return _assigned(graph, tie.target, value)


def unregistered(owner: str, name: str, value: str) -> str:
    """The statement that sets an attribute of a module, also to a parameter."""
    return f"object.__setattr__({owner}, {name!r}, {value})"


def _is_attribute(graph: Graph, target: End) -> bool:
    """Whether a place is that of an attribute, and not a part of one."""
    return isinstance(_at(graph, target), Attribute)


def _may_be_parameter(graph: Graph, tie: Tie) -> bool:
    if tie.view:
        return tie.view[-1] in ("parameter", "frozen")
    match found := _at(graph, tie.source):
        case Attribute(value):
            return is_parameter(value)
        case _:
            return is_parameter(found) or isinstance(found, Parameter | Layer)


def is_parameter(value: Any) -> bool:
    """Whether a part of an attribute is a parameter."""
    return isinstance(value, Data) and value.role in ("parameter", "frozen")


def _seen(source: str, *view: Any) -> str:
    shape, strides, offset, *words = view
    role: Role = ""
    for word in words:
        match word:
            case "detach":
                source += ".detach()"
            case "data":
                source += ".data"
            case (dtype, first, count):
                source += f".as_strided(({count},), (1,), {first}).view(torch.{dtype})"
            case _:
                role = word
    sizes, steps = compact(shape, strides)
    if sizes == shape:
        return in_role(f"{source}.as_strided({shape}, {strides}, {offset})", role)
    # So that its gradients are added up as they are where it was expanded.
    return in_role(f"{source}.as_strided({sizes}, {steps}, {offset}).expand({shape})", role)


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
    found = _at(graph, tuple(path))
    if isinstance(found, Attribute):
        return found.value
    return None if isinstance(found, Graph) else found


def _at(graph: Graph, path: End) -> Any:
    """What is at a place: a member, or a part of an attribute; the layer that it is inside of."""
    found: Any = graph
    for step in path:
        found = found.value if isinstance(found, Attribute) else found
        match found:
            case Graph():
                found = found.table.get(step)
            case Object(_, fields):
                found = dict(fields)[step]
            case tuple() | list() | dict():
                found = found[step[0]]
    return found


def _sets_otherwise(cls: Any) -> bool:
    return cls.__setattr__ is not object.__setattr__
