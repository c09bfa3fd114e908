"""The names of the user's that a source mentions, known before any variable is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nas_engine_graph.backend.literal import named
from nas_engine_graph.ir import (
    Attribute,
    Builtin,
    Call,
    Const,
    Function,
    Graph,
    If,
    Invoke,
    Layer,
    Loop,
    Member,
    Node,
    Object,
    Raise,
    Symbol,
    With,
)
from nas_engine_graph.ir.effects import walk
from nas_engine_graph.ir.placeless import graphs

__all__ = ["symbols_of"]


def symbols_of(root: Graph) -> Iterator[str]:
    """The dotted names that the source of a graph imports from modules of the user's."""
    for graph in graphs(root):
        for function in graph.functions:
            yield from filter(_is_users, _of_function(function))
        for _, member in graph.members:
            yield from filter(_is_users, _of_member(member))


def _is_users(name: str) -> bool:
    return "." in name and name.split(".", maxsplit=1)[0] not in ("torch", "math")


def _of_function(function: Function) -> Iterator[str]:
    yield from named(function.returns)
    for value in function.body.parameters:
        yield from named(value.type)
    for node in walk(function.body):
        yield from _of_node(node)


def _of_node(node: Node) -> Iterator[str]:
    match node.operation:
        case Call(name) | With(name) | Raise(name) | Invoke(_, name):
            yield name
        case Builtin("list" | "dict") if not node.inputs:
            yield from named(node.outputs[0].type)
        case Builtin("jit_isinstance"):
            for operand in node.inputs:
                yield from named(str(operand.value)) if isinstance(operand, Const) else ()
        case If() | Loop():
            given = (*node.inputs, *(result for block in node.blocks for result in block.results))
            for value in node.outputs if Const(None) in given else ():
                yield from named(value.type)
    for operand in node.operands:
        match operand:
            case Const(Symbol(name)):
                yield name
            case Const(tuple() as items):
                yield from (item.name for item in items if isinstance(item, Symbol))


def _of_member(member: Member) -> Iterator[str]:
    match member:
        case Layer(target):
            yield target
        case Attribute(value, kind):
            yield from named(kind)
            yield from _of_value(value)


def _of_value(value: Any) -> Iterator[str]:
    """The classes of the objects in an attribute."""
    match value:
        case Object(target, fields):
            yield target
            yield from _of_value(dict(fields))
        case dict():
            yield from _of_value([*value, *value.values()])
        case tuple() | list():
            for item in value:
                yield from _of_value(item)
