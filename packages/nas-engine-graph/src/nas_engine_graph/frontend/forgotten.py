"""New lists, dicts and named tuples of which nobody reads anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import Block, Builtin, Call, Node, Ref, references, walk

__all__ = ["forgotten", "is_record"]

_NEW = (Builtin("list"), Builtin("dict"))
_FILLING = frozenset(
    {"setitem", "method.append", "method.extend", "method.insert", "method.sort",
     "method.reverse", "method.clear", "method.update"}
)  # fmt: skip


def forgotten(body: Block) -> set[int]:
    """The ids of the nodes that fill a new list or dict which nobody reads, or make a record."""
    if not any(isinstance(node.operation, Builtin | Call) for node in walk(body)):
        return set()
    uses = Counter(references(body))
    filling = list(_filling(body, uses))
    uses.subtract(name for name, _ in filling)
    new = {n.outputs[0].name for n in walk(body) if n.operation in _NEW}
    found = {id(node) for name, node in filling if name in new and not uses[name]}
    return found | {id(node) for node in walk(body) if _is_record(node, uses)}


def _filling(body: Block, uses: Counter[str]) -> Iterator[tuple[str, Node]]:
    """What changes lists and dicts, and of whose results nobody uses any."""
    for node in walk(body):
        match node:
            case Node(Builtin(kind), (Ref(name), *_)) if kind in _FILLING:
                if not any(uses[value.name] for value in node.outputs):
                    yield name, node


def _is_record(node: Node, uses: Counter[str]) -> bool:
    return is_record(node) and not any(uses[value.name] for value in node.outputs)


def is_record(node: Node) -> bool:
    """Whether a node makes a named tuple."""
    match node.operation:
        case Call(target):
            made: Any = resolve(target)
            return isinstance(made, type) and made.__bases__ == (tuple,)
    return False
