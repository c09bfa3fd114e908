"""The text form: what ``print(graph)`` shows, and ``parse`` reads back; notes are comments."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import fields
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
    Parametrization,
    Value,
)
from nas_engine_graph.ir.operation import (
    Builtin,
    Call,
    If,
    Invoke,
    Local,
    Loop,
    Operation,
    Operator,
    Raise,
    Read,
    With,
    Write,
)
from nas_engine_graph.ir.value import (
    Const,
    Data,
    Device,
    Dtype,
    Fill,
    Init,
    Layout,
    MemoryFormat,
    Normal,
    Object,
    Operand,
    Ref,
    Size,
    Symbol,
)

__all__ = ["to_text"]

_INDENT = "  "


def _path(path: tuple[str, ...]) -> str:
    return (
        json.dumps(list(path))
        if any("." in p or not p for p in path)
        else json.dumps(".".join(path))
    )


def value_text(value: Any) -> str:
    """A constant or an argument; the classes of the IR are written as calls."""
    match value:
        case Symbol(name) | Dtype(name) | Device(name) | Layout(name) | MemoryFormat(name):
            return f"{type(value).__name__}({json.dumps(name)})"
        case Normal() | Fill():
            return _init(value)
        case Parameter() | Buffer():
            facts = (getattr(value, field.name) for field in fields(value))
            return f"{type(value).__name__}({', '.join(map(value_text, facts))})"
        case Data(dtype, shape, content):
            more = "".join(f", {value_text(each)}" for each in _more(value))
            elements = repr(content.hex() or "empty")
            return f"Data({json.dumps(dtype)}, {value_text(shape)}, {elements}{more})"
        case Object(target, attributes):
            return f"Object({json.dumps(target)}, {value_text(dict(attributes))})"
        case Layer():
            return _layer(value)
        case Size():
            return f"Size({value_text(tuple(value))})"
        case tuple():
            items = ", ".join(map(value_text, value))
            return f"({items},)" if len(value) == 1 else f"({items})"
        case list():
            return f"[{', '.join(map(value_text, value))}]"
        case OrderedDict():
            return f"OrderedDict({value_text(dict(value))})"
        case dict():
            return f"{{{', '.join(f'{value_text(k)}: {value_text(v)}' for k, v in value.items())}}}"
        case complex():
            return f"complex({value.real!r}, {value.imag!r})"
        case str():
            return json.dumps(value)
        case _:
            return repr(value)


def _more(data: Data) -> tuple[Any, ...]:
    """What is to be said of a tensor besides its elements; nothing of most."""
    if data.role:
        return data.strides, data.memory, data.role
    return (data.strides, data.memory) if data.memory else (data.strides,) if data.strides else ()


def _pairs(pairs: tuple[tuple[str, Any], ...]) -> Iterator[str]:
    yield from (f"{name}={value_text(value)}" for name, value in pairs)


def _layer(layer: Layer) -> str:
    made = f"{layer.target}({', '.join([*map(value_text, layer.args), *_pairs(layer.kwargs)])})"
    if layer.label is not None:
        made += f" label {json.dumps(layer.label)}"
    made += _set(layer.settings)
    for p in layer.parametrizations:
        made += f" with {_parametrization(p)}"
    if layer.frozen:
        made += f" frozen {value_text(layer.frozen)}"
    if layer.memory_format:
        made += f" in {value_text(layer.memory_format)}"
    if layer.strides:
        made += f" strides {value_text(layer.strides)}"
    return made + (" evaluating" if layer.evaluating else "")


def _parametrization(p: Parametrization) -> str:
    words = [json.dumps(p.tensor), *map(value_text, p.args), *_pairs(p.kwargs)]
    return f"{p.function}({', '.join(words)})"


def _init(init: Init) -> str:
    match init:
        case Fill(value):
            return f"Fill({value_text(value)})"
        case Normal(mean, deviation):
            return f"Normal({mean!r}, {deviation!r})"
        case Data():
            return value_text(init)


def _set(settings: tuple[tuple[str, Any], ...]) -> str:
    return f" set ({', '.join(_pairs(settings))})" if settings else ""


def _laid(strides: tuple[int, ...] | None, memory: tuple[int, int] | None) -> str:
    words = "" if strides is None else f" strides {value_text(strides)}"
    return words if memory is None else f"{words} memory {value_text(memory)}"


def _member(name: str, member: Member, depth: int) -> Iterator[str]:
    pad, quoted = _INDENT * depth, json.dumps(name)
    match member:
        case Parameter(shape, init, dtype, requires_grad, strides, settings, memory):
            words = ("" if requires_grad else " frozen") + _laid(strides, memory) + _set(settings)
            yield f"{pad}parameter {quoted}: {dtype} {value_text(shape)} = {_init(init)}{words}"
        case Buffer(shape, init, dtype, persistent, strides, settings, memory):
            words = ("" if persistent else " transient") + _laid(strides, memory) + _set(settings)
            yield f"{pad}buffer {quoted}: {dtype} {value_text(shape)} = {_init(init)}{words}"
        case Attribute(value, kind):
            yield f"{pad}attribute {quoted}: {json.dumps(kind)} = {value_text(value)}"
        case Absent(kind):
            yield f"{pad}absent {quoted}: {json.dumps(kind)}"
        case Layer():
            yield f"{pad}layer {quoted} = {_layer(member)}"
        case Graph():
            first, *rest = _graph(member, depth)
            yield f"{pad}child {quoted} = {first.lstrip()}"
            yield from rest


def operation_text(operation: Operation) -> str:
    """The words before the operands of a node."""
    match operation:
        case Operator(target):
            return target
        case Builtin(name):
            return f"builtin {name}"
        case Call(target):
            return f"call {target}"
        case Local(name):
            return f"local {name}"
        case Invoke(path, "forward"):
            return f"invoke {_path(path)}"
        case Invoke(path, method):
            return f"invoke {_path(path)} {method}"
        case Read(path):
            return f"read {_path(path)}"
        case Write(path):
            return f"write {_path(path)}"
        case If():
            return "if"
        case Loop():
            return "loop"
        case With(target):
            return f"with {target}".rstrip()
        case Raise(exception):
            return f"raise {exception}"


def _operand(operand: Operand) -> str:
    match operand:
        case Ref(name):
            return f"%{name}"
        case Const(value):
            return value_text(value)


def _value(value: Value) -> str:
    return (
        f"%{value.name}: {json.dumps(value.type)}" if value.type != "Tensor" else f"%{value.name}"
    )


def _node(node: Node, depth: int) -> Iterator[str]:
    pad = _INDENT * depth
    outputs = ", ".join(map(_value, node.outputs))
    words = [*map(_operand, node.inputs), *(f"{n}={_operand(o)}" for n, o in node.keywords)]
    assigned = f"{outputs} = " if outputs else ""
    line = f"{pad}{assigned}{operation_text(node.operation)}({', '.join(words)})"
    if node.label is not None:
        line += f" label {json.dumps(node.label)}"
    comment = _notes(node)
    for block in node.blocks:
        yield f"{line} {{{comment}"
        yield from _block(block, depth + 1)
        line, comment = f"{pad}}}", ""
    yield f"{line}{comment}"


def _notes(node: Node) -> str:
    if node.notes is None:
        return ""
    pairs = zip(node.outputs, node.notes.get("outputs", ()), strict=False)
    words = [str(kind or "?") for value, kind in pairs if kind or value.type == "Tensor"]
    flops = node.notes.get("flops", 0)
    words += ["? FLOPs"] if flops is None else [f"{flops:,} FLOPs"] if flops else []
    if problem := node.notes.get("problem"):
        words.append(problem)
    return f"  # {', '.join(words)}" if words else ""


def _block(block: Block, depth: int) -> Iterator[str]:
    pad = _INDENT * depth
    if block.parameters:
        yield f"{pad}take {', '.join(map(_value, block.parameters))}"
    for node in block.nodes:
        yield from _node(node, depth)
    yield f"{pad}give {', '.join(map(_operand, block.results))}".rstrip()


def _function(function: Function, depth: int) -> Iterator[str]:
    pad = _INDENT * depth
    head = "function" if function.free else "method"
    values = ", ".join(map(_value, function.body.parameters))
    line = f"{pad}{head} {function.name}({values}) -> {json.dumps(function.returns)}"
    if function.defaults:
        line += f" defaults {value_text(function.defaults)}"
    line += " exported" if function.exported else ""
    yield f"{line} {{"
    yield from _block(Block((), function.body.nodes, function.body.results), depth + 1)
    yield f"{pad}}}"


def _graph(graph: Graph, depth: int) -> Iterator[str]:
    pad = _INDENT * depth
    line = f"{pad}graph {graph.name} {graph.kind}"
    if graph.label is not None:
        line += f" label {json.dumps(graph.label)}"
    line += " evaluating" if graph.evaluating else ""
    yield f"{line}{'' if graph.training else ' untrained'} {{"
    for name, member in graph.members:
        yield from _member(name, member, depth + 1)
    for tie in graph.ties:
        view = f" view {value_text(tie.view)}" if tie.view else ""
        ends = f"{value_text(tie.target)} {value_text(tie.source)}"
        yield f"{pad}{_INDENT}tie {ends}{view}{_set(tie.settings)}"
    for path in graph.pinned:
        yield f"{pad}{_INDENT}pinned {value_text(path)}"
    for path in graph.turned:
        yield f"{pad}{_INDENT}turned {value_text(path)}"
    if graph.versioned:
        yield f"{pad}{_INDENT}versioned"
    for reset in graph.resets:
        mode = "" if reset.mode is None else f" {reset.mode}"
        made = f"{json.dumps(reset.attribute)} = {value_text(reset.value)}"
        yield f"{pad}{_INDENT}reset {made} on {reset.method}{mode}"
    for function in graph.functions:
        yield from _function(function, depth + 1)
    yield f"{pad}}}"


def to_text(graph: Graph) -> str:
    """The text form of a graph."""
    return "\n".join(_graph(graph, 0))
