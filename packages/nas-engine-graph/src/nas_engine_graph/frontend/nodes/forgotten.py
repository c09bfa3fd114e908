"""New lists, dicts and named tuples of which nobody reads anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from nas_engine_graph.frontend.nodes.unread import Unread
from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import (
    Block,
    Builtin,
    Call,
    If,
    Loop,
    Node,
    Operand,
    Operator,
    Value,
    With,
    is_pure,
    references,
    walk,
)

__all__ = ["forgotten", "is_record"]

_NEW = frozenset(
    {"list", "dict", "list_of", "dict_of", "sorted", "slice", "add", "mul", "method.copy",
     "method.split", "method.tolist"}
)  # fmt: skip
"""What makes a new list or dict, if it makes one at all."""
_CHANGING = frozenset(
    {"setitem", "delitem", "iadd", "imul", "method.append", "method.extend", "method.insert",
     "method.pop", "method.popitem", "method.remove", "method.setdefault", "method.sort",
     "method.reverse", "method.clear", "method.update"}
)  # fmt: skip
_KEEPING = frozenset(
    {"list", "tuple", "dict", "typed", "assign", "method.keys", "method.values", "method.items"}
)
"""What gives their operands other names, or has them."""


def forgotten(body: Block) -> set[int]:
    """The ids of the nodes that change a new list or dict which nobody reads, or make a record."""
    if not any(isinstance(node.operation, Builtin | Call) for node in walk(body)):
        return set()
    uses = Counter(references(body))
    records = {id(node) for node in walk(body) if _is_record(node, uses)}
    return records | (_Changes(body).dead if any(map(_changes, walk(body))) else set())


class _Changes(Unread):
    def __init__(self, body: Block) -> None:
        super().__init__()
        known = {value.name for value in body.parameters}
        for node in walk(body):
            self.hand_on(node)
            known |= set(self.names(_shown(node)))
            known |= {value.name for value in node.outputs if not _is_new(node, value)}
            if isinstance(node.operation, With):
                known |= {value.name for value in node.blocks[0].parameters}
        self.kept = {self.root(name) for name in known}
        self.before(body, frozenset())

    def written(self, node: Node) -> Operand | None:
        return node.inputs[0] if _changes(node) else None


def _is_new(node: Node, value: Value) -> bool:
    """Whether a node makes a list or dict, or gives it on, that nobody else has."""
    match node.operation:
        case Builtin(name) if name not in _NEW:
            return False
        case Builtin() | Operator() | If() | Loop() | With():
            return value.type.startswith(("List", "Dict"))
    return False


def _shown(node: Node) -> Sequence[Operand]:
    """The operands that others may have then, or by other names."""
    match node.operation:
        case Builtin(name) if name in _CHANGING:
            return node.operands[1:]
        case Builtin(name) if name not in _KEEPING and is_pure(node):
            return ()
        case Operator() | If() | Loop():
            return ()
    return node.operands


def _changes(node: Node) -> bool:
    return isinstance(node.operation, Builtin) and node.operation.name in _CHANGING


def _is_record(node: Node, uses: Counter[str]) -> bool:
    return is_record(node) and not any(uses[value.name] for value in node.outputs)


def is_record(node: Node) -> bool:
    """Whether a node makes a named tuple."""
    match node.operation:
        case Call(target):
            made: Any = resolve(target)
            return isinstance(made, type) and made.__bases__ == (tuple,)
    return False
