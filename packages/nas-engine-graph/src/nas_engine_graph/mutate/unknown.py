"""What a graph names that is not there: layers, arguments of them, operators, functions."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from nas_core.errors import nearest

from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import Call, Graph, Operator, layers, walk
from nas_engine_graph.mutate.arguments import why_not

__all__ = ["unknown"]


def unknown(graph: Graph, before: Graph) -> Iterator[str]:
    """Why nothing can be made of a graph; what it has of the one before is not looked at.

    >>> from nas_engine_graph.ir import Layer, chain
    >>> list(unknown(chain(Layer("torch.nn.Relu6")), chain()))
    ["layer '0': there is no torch.nn.Relu6; did you mean 'ReLU6'?"]
    """
    if graph is before:
        return
    known = {id(layer) for _, layer in layers(before)}
    for path, layer in layers(graph):
        if id(layer) not in known and (reason := why_not(layer)) is not None:
            yield f"layer {'.'.join(path)!r}: {reason}"
    for operation in sorted(_called(graph) - _called(before), key=lambda found: found.target):
        match operation:
            case Operator(target) if not _is_operator(target):
                yield f"there is no operator {target}{_near(target)}"
            case Call(target) if not _is_there(target):
                yield f"there is no function {target}"


def _called(graph: Graph) -> set[Operator | Call]:
    nodes = (node for function in graph.functions for node in walk(function.body))
    found = {n.operation for n in nodes if isinstance(n.operation, Operator | Call)}
    inside = [_called(member) for _, member in graph.members if isinstance(member, Graph)]
    return found.union(*inside)


def _is_operator(target: str) -> bool:
    namespace, _, rest = target.partition(".")
    name, _, overload = rest.partition(".")
    return hasattr(getattr(getattr(torch.ops, namespace), name, None), overload or "default")


def _near(target: str) -> str:
    namespace, name, *_ = (*target.split("."), "", "")
    packet = getattr(getattr(torch.ops, namespace), name, None)
    if packet is not None:
        return f": it has {', '.join(packet.overloads())}"
    there = {*dir(torch), *dir(torch.Tensor)}
    return nearest(name, (other for other in there if _is_packet(namespace, other)))


def _is_packet(namespace: str, name: str) -> bool:
    return hasattr(getattr(torch.ops, namespace), name)


def _is_there(target: str) -> bool:
    try:
        resolve(target)
    except (ImportError, AttributeError, LookupError):
        return False
    return True
