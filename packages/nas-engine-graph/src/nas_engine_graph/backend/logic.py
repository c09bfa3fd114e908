"""Branches that are an ``and`` or an ``or``: written as such, where they are asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from nas_engine_graph.ir import (
    Block,
    Builtin,
    Call,
    Const,
    Function,
    If,
    Invoke,
    Local,
    Node,
    Operand,
    Operator,
    Read,
    Ref,
    references,
)

__all__ = ["arm_of", "shortcuts"]

# Python evaluates their operands in another order than they stand in.
_TURNED = frozenset({"contains", "derive_index"})
_STATEMENTS = frozenset({"setitem", "assign", "delitem", "iadd", "imul"})


def arm_of(node: Node) -> tuple[str, Block] | None:
    """``"and"`` or ``"or"``, and the block of the second operand; None for other nodes."""
    if not isinstance(node.operation, If) or [v.type for v in node.outputs] != ["bool"]:
        return None
    then, other = node.blocks
    if not other.nodes and other.results == (Const(False),):
        return "and", then
    if not then.nodes and then.results == (Const(True),):
        return "or", other
    return None


def shortcuts(function: Function, placeless: Mapping[str, Node]) -> dict[str, Node]:
    """The nodes that become part of an expression with ``and`` or ``or``, by their values.

    Such a branch is asked by the next node alone, and its arm is one expression that computes in
    the same order.
    """
    counts: dict[str, int] = {}
    for name in references(function.body):
        counts[name] = counts.get(name, 0) + 1
    return dict(_found(function.body, placeless, counts))


def _found(
    block: Block, placeless: Mapping[str, Node], counts: Mapping[str, int]
) -> Iterator[tuple[str, Node]]:
    stated = [node for node in block.nodes if not _is_in(node, placeless)]
    for node, following in pairwise(stated):
        for inner in node.blocks:
            yield from _found(inner, placeless, counts)
        asked = node.outputs[0].name if len(node.outputs) == 1 else ""
        if not isinstance(following.operation, If) or following.inputs != (Ref(asked),):
            continue
        if counts.get(asked) == 1 and (parts := _parts(node, placeless, counts)) is not None:
            yield from parts.items()
    for node in stated[-1:]:
        for inner in node.blocks:
            yield from _found(inner, placeless, counts)


def _is_in(node: Node, names: Mapping[str, Node]) -> bool:
    return len(node.outputs) == 1 and node.outputs[0].name in names


def _parts(
    node: Node, placeless: Mapping[str, Node], counts: Mapping[str, int]
) -> dict[str, Node] | None:
    """The nodes of which the expression consists, if it is one."""
    if (found := arm_of(node)) is None or node.label is not None:
        return None
    _, arm = found
    stated = [inner for inner in arm.nodes if not _is_in(inner, placeless)]
    parts = {node.outputs[0].name: node}
    for inner in stated:
        within = _parts(inner, placeless, counts) if inner.blocks else _expression(inner)
        if within is None or counts.get(inner.outputs[0].name) != 1:
            return None
        computed = any(isinstance(o, Ref) and o.name in parts for o in inner.operands)
        if computed and isinstance(inner.operation, Builtin) and inner.operation.name in _TURNED:
            return None
        parts |= within
    order = [id(inner) for inner in _order(arm.results[0], parts, placeless)]
    return parts if order == [id(inner) for inner in stated] else None


def _expression(node: Node) -> dict[str, Node] | None:
    if len(node.outputs) != 1 or node.label is not None:
        return None
    match node.operation:
        case Builtin(name) if name in _STATEMENTS:
            return None
        case Builtin() | Operator() | Call() | Local() | Invoke() | Read():
            return {node.outputs[0].name: node}
        case _:
            return None


def _order(
    operand: Operand, parts: Mapping[str, Node], placeless: Mapping[str, Node]
) -> Iterator[Node]:
    """The nodes in the order in which Python computes the expression."""
    if not isinstance(operand, Ref):
        return
    node = parts.get(operand.name) or placeless.get(operand.name)
    if node is None:
        return
    for inner in node.operands:
        yield from _order(inner, parts, placeless)
    if operand.name in parts:
        yield node
