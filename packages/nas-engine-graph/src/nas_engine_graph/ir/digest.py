"""The structure of a graph as sixteen digits: names of values and classes do not count."""

from __future__ import annotations

import hashlib
from typing import Any

from nas_engine_graph.ir.graph import (
    Absent,
    Attribute,
    Block,
    Buffer,
    Function,
    Graph,
    Layer,
    Member,
    Node,
    Parameter,
    Tie,
)
from nas_engine_graph.ir.placeless import placeless, written
from nas_engine_graph.ir.value import Const, Data, Fill, Init, Normal, Object, Operand, Ref, key

__all__ = ["digest"]


class _Numbers:
    """Values numbered in the order of their definition; those without a place are spelled out."""

    def __init__(self, placeless: dict[str, Node]) -> None:
        self.known: dict[str, int] = {}
        self.placeless = placeless

    def of(self, name: str) -> int:
        return self.known.setdefault(name, len(self.known))


def _operand(operand: Operand, numbers: _Numbers) -> Any:
    match operand:
        case Ref(name) if name in numbers.placeless:
            return _call(numbers.placeless[name], numbers)
        case Ref(name):
            return ("%", numbers.of(name))
        case Const(value):
            return key(value)


def _call(node: Node, numbers: _Numbers) -> Any:
    inputs = tuple(_operand(o, numbers) for o in node.inputs)
    keywords = tuple((name, _operand(o, numbers)) for name, o in node.keywords)
    return (repr(node.operation), inputs, keywords)


def _node(node: Node, numbers: _Numbers) -> Any:
    call = _call(node, numbers)
    blocks = tuple(_block(block, numbers) for block in node.blocks)
    outputs = tuple(numbers.of(value.name) for value in node.outputs)
    return (call, blocks, outputs)


def _block(block: Block, numbers: _Numbers) -> Any:
    parameters = tuple(numbers.of(value.name) for value in block.parameters)
    nodes = tuple(
        _node(node, numbers)
        for node in block.nodes
        if not (len(node.outputs) == 1 and node.outputs[0].name in numbers.placeless)
    )
    return (parameters, nodes, tuple(_operand(o, numbers) for o in block.results))


def _function(function: Function, names_written: frozenset[str]) -> str:
    if names_written not in function.digests:
        content = repr(_content(function, names_written))
        function.digests[names_written] = hashlib.sha256(content.encode()).hexdigest()
    return function.digests[names_written]


def _content(function: Function, names_written: frozenset[str]) -> Any:
    numbers = _Numbers(placeless(function, names_written))
    names = tuple(value.name for value in function.body.parameters)
    defaults = tuple(map(_value, function.defaults))
    more = ["exported"] if function.exported else []
    return (function.name, function.free, names, defaults, _block(function.body, numbers), *more)


def _value(value: Any) -> Any:
    match value:
        case Layer():
            return _layer(value)
        case Parameter() | Buffer():
            return _member(value)
        case Normal():
            return "normal"
        case Data():
            more = (value.strides, *(value.memory or ()), value.role)
            return ("data", value.dtype, value.shape, value.digest, *more)
        case Object(target, fields):
            return ("object", target, *_settings(fields))
        case tuple() | list():
            return (type(value).__name__, *map(_value, value))
        case dict():
            return (type(value).__name__, *((_value(k), _value(v)) for k, v in value.items()))
        case _:
            return key(value)


def _init(init: Init) -> Any:
    match init:
        case Fill(value):
            return ("fill", key(value))
        case Normal():
            return "normal"
        case Data():
            return _value(init)


def _settings(settings: tuple[tuple[str, Any], ...]) -> tuple[Any, ...]:
    return tuple((name, _value(value)) for name, value in settings)


def _layer(layer: Layer) -> Any:
    return (
        layer.target,
        _value(layer.args),
        tuple((name, _value(value)) for name, value in layer.kwargs),
        _settings(layer.settings),
        tuple(
            (p.function, p.tensor, _value(p.args), _value(p.kwargs)) for p in layer.parametrizations
        ),
        layer.frozen,
        layer.memory_format,
        *layer.strides,
        layer.evaluating,
    )


def _member(member: Member) -> Any:
    match member:
        case Graph():
            return ("graph", member.digest)
        case Layer():
            return ("layer", _layer(member))
        case Parameter(shape, init, dtype, requires_grad, strides, settings, memory):
            laid = (dtype, requires_grad, strides, *(memory or ()), *_settings(settings))
            return ("parameter", shape, _init(init), *laid)
        case Buffer(shape, init, dtype, persistent, strides, settings, memory):
            laid = (dtype, persistent, strides, *(memory or ()), *_settings(settings))
            return ("buffer", shape, _init(init), *laid)
        case Attribute(value):
            return ("attribute", _value(value))
        case Absent(kind):
            return ("absent", kind)


def _tie(tie: Tie) -> tuple[Any, ...]:
    more = [*([tie.view] if tie.view else []), *_settings(tie.settings)]
    return tie.target, tie.source, *more


def digest(graph: Graph) -> str:
    """Equal for graphs that are equal up to names; a child counts by its own digest."""
    names_written = written(graph)
    content = (
        graph.kind,
        tuple((name, _member(member)) for name, member in graph.members),
        tuple(_function(function, names_written) for function in graph.functions),
        tuple(map(_tie, graph.ties)),
        graph.pinned,
        tuple(reset.key for reset in graph.resets),
        graph.evaluating,
        *(["versioned"] if graph.versioned else []),
        *([graph.training, graph.turned] if graph.turned else []),
    )
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]
