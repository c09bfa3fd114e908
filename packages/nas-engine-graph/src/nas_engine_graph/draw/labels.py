"""Which choice each module of a candidate comes from, found in the open model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from nas_core.expression import Expression, expressions_in
from nas_core.model import arguments_of
from nas_core.nn import InputChoice, LayerChoice, Repeat

from nas_engine_graph.ir import Graph, Layer, Member
from nas_engine_graph.ir.placeless import graphs

__all__ = ["labelled", "labels_of", "marking"]

Path = tuple[str, ...]


def labelled(graph: Graph, labels: Mapping[Path, str]) -> Graph:
    """The graph in which the layers and modules at these paths have a label.

    >>> graph = Graph("Net", (("body", Layer("torch.nn.ReLU")),))
    >>> print(labelled(graph, {("body",): "act"}).member("body").label)
    act
    """
    return _labelled(graph, (), labels)


def _labelled(graph: Graph, path: Path, labels: Mapping[Path, str]) -> Graph:
    def member(name: str, found: Member) -> Member:
        here = (*path, name)
        if isinstance(found, Graph):
            found = _labelled(found, here, labels)
        if isinstance(found, Graph | Layer) and here in labels:
            return replace(found, label=labels[here])
        return found

    return replace(graph, members=tuple((name, member(name, m)) for name, m in graph.members))


def marking(graph: Graph) -> frozenset[str]:
    """The labels of the choices that some module of the graph comes from.

    >>> graph = Graph("Net", (("body", Layer("torch.nn.ReLU", label="act, width")),))
    >>> {"act", "width"} <= marking(graph)
    True
    """
    found: set[str] = set()
    for part in graphs(graph):
        members = [member for _, member in part.members if isinstance(member, Graph | Layer)]
        for label in filter(None, (part.label, *(member.label for member in members))):
            found |= {label, *label.split(", ")}
    return frozenset(found)


def labels_of(base_model: torch.nn.Module, architecture: Mapping[str, Any]) -> dict[Path, str]:
    """The labels of the choices that decided about the module at each path of a candidate.

    The layer of a ``LayerChoice``, the blocks of a ``Repeat``, and layers that have choices among
    their arguments are found where they stand in the open model; what ``nas_core.choose`` decided
    leaves no trace there.

    >>> from nas_core import nn
    >>> act = nn.LayerChoice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, label="act")
    >>> labels_of(torch.nn.Sequential(act), {"act": "tanh"})
    {('0',): 'act'}
    """
    found: dict[Path, str] = {}
    for path, label in _walk(base_model, (), architecture):
        known = found.get(path)
        if known is None:
            found[path] = label
        elif label not in known.split(", "):
            found[path] = f"{known}, {label}"
    return found


def _walk(
    module: torch.nn.Module, path: Path, architecture: Mapping[str, Any]
) -> Iterator[tuple[Path, str]]:
    match module:
        case LayerChoice(choice=choice):
            yield path, choice.label
            value = architecture.get(choice.label, choice.domain.default)
            if (chosen := module.candidates().get(value)) is not None:
                yield from _walk(chosen, path, architecture)
            return
        case InputChoice(choice=choice):
            yield path, choice.label
        case Repeat(depth=depth) if isinstance(depth, Expression):
            for name in module._modules:
                yield from (((*path, name), choice.label) for choice in depth.choices())
        case _:
            yield from ((path, label) for label in _labels(arguments_of(module)))
    for name, child in module.named_children():
        yield from _walk(child, (*path, name), architecture)


def _labels(arguments: Any) -> Iterator[str]:
    for expression in expressions_in(arguments):
        yield from (choice.label for choice in expression.choices())
