"""Which class of the source each module of the model is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nas_engine_graph.ir import Attribute, Graph, Layer

__all__ = ["Placed", "placed"]

Placed = tuple[tuple[str, str], ...]
"""Dotted paths, and names of classes: of the source, or dotted ones of what it imports."""

_PLAIN = ("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict", "torch.nn.Module")


def placed(root: Graph, name_of: Callable[[Graph], str]) -> Placed:
    """The class of each module; empty where constructors set more than these and tensors.

    Args:
        root: the graph of the whole source.
        name_of: the class that is written for a graph, or the container of torch that it is.
    """
    try:
        return tuple(_placed(root, "", name_of))
    except _MoreError:
        return ()


class _MoreError(Exception):
    """A constructor sets something else."""


def _placed(graph: Graph, path: str, name_of: Callable[[Graph], str]) -> Iterator[tuple[str, str]]:
    if graph.kind not in _PLAIN or any(isinstance(m, Attribute) for _, m in graph.members):
        raise _MoreError
    yield path, name_of(graph)
    for name, member in graph.members:
        inner = f"{path}.{name}" if path else name
        match member:
            case Graph():
                yield from _placed(member, inner, name_of)
            case Layer(target):
                yield inner, target
