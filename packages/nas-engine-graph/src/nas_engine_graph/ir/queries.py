"""Find modules, and the nodes that call them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas_core.errors import NasError, nearest

from nas_engine_graph.ir.edit import Found, at, find
from nas_engine_graph.ir.effects import walk
from nas_engine_graph.ir.graph import Graph, Layer
from nas_engine_graph.ir.operation import Invoke

__all__ = ["NotFoundError", "calls", "class_names", "find_one", "modules", "path_of", "steps_of"]

Path = tuple[str, ...]


def modules(
    graph: Graph, *, kind: str | None = None, label: str | None = None
) -> Iterator[tuple[Path, Layer | Graph]]:
    """All layers and graphs inside, outer ones first; by class name or label."""
    for name, member in graph.members:
        if not isinstance(member, Layer | Graph):
            continue
        names = class_names(member)
        if (kind is None or kind in names) and (label is None or member.label == label):
            yield (name,), member
        if isinstance(member, Graph):
            for path, inner in modules(member, kind=kind, label=label):
                yield (name, *path), inner


def class_names(member: Layer | Graph) -> tuple[str, ...]:
    """What the class of a module answers to; the short name last."""
    if isinstance(member, Layer):
        return (member.target, member.target.rpartition(".")[2])
    return (member.kind, member.name)


def path_of(graph: Graph, label: str) -> Path:
    """The path of the only module with this label.

    Raises:
        KeyError: there is none, or several; with the nearest label.
    """
    found = [path for path, _ in modules(graph, label=label)]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(repr(".".join(path)) for path in found)
        raise NotFoundError(f"{len(found)} modules have the label {label!r}: {several}")
    labels = sorted({m.label for _, m in modules(graph) if m.label})
    known = f" (labels: {', '.join(labels)})" if labels else ": nothing has a label"
    raise NotFoundError(f"no module has the label {label!r}{nearest(label, labels)}{known}")


def find_one(
    graph: Graph, *, name: str | None = None, kind: str | None = None, label: str | None = None
) -> Found:
    """The only node that ``find`` gives.

    Raises:
        KeyError: there is none, or several.
    """
    found = list(find(graph, name=name, kind=kind, label=label))
    if len(found) == 1:
        return found[0]
    asked = {"name": name, "kind": kind, "label": label}
    words = ", ".join(f"{key} {value!r}" for key, value in asked.items() if value is not None)
    raise NotFoundError(f"{len(found) or 'no'} nodes have {words}, not one")


def calls(graph: Graph, path: str | Sequence[str]) -> Iterator[Found]:
    """The nodes that call the module at ``path``, whoever among the modules around it does."""
    steps = steps_of(path)
    for depth in range(len(steps)):
        owner = at(graph, steps[:depth])
        for function in owner.functions if isinstance(owner, Graph) else ():
            for node in walk(function.body):
                if isinstance(node.operation, Invoke) and node.operation.path == steps[depth:]:
                    yield Found(steps[:depth], function.name, node)


def steps_of(path: str | Sequence[str]) -> Path:
    """A dotted path as a tuple."""
    return tuple(path.split(".")) if isinstance(path, str) else tuple(path)


class NotFoundError(NasError, KeyError):
    """Nothing, or too much, answers to what was asked for."""
