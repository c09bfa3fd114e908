"""Functions without what nobody takes: results, and what branches, loops and contexts hand on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import is_

from nas_engine_graph.frontend.nodes.dead import dead_writes
from nas_engine_graph.frontend.nodes.forgotten import forgotten
from nas_engine_graph.ir import (
    Block,
    Const,
    If,
    Loop,
    Node,
    Operand,
    Ref,
    With,
    is_pure,
    walk,
)

__all__ = ["same", "without_unused"]

Passing = tuple[tuple[str, ...], tuple[Operand, ...]]
"""If one of these names is used, so are these operands."""


def same(made: Sequence[object], before: Sequence[object]) -> bool:
    """Whether these are the same items and no others."""
    return len(made) == len(before) and all(map(is_, made, before))


def without_unused(body: Block) -> Block:
    """The body without values that are only handed on, from trip to trip at most."""
    made = _handing_on_less(body)
    idle = {id(node) for node in walk(made) if _is_idle(node)}
    idle |= dead_writes(made) | forgotten(made)
    return without_unused(_without(made, idle)) if idle else made


def _is_idle(node: Node) -> bool:
    """Whether this is a branch, or a loop that ends, of which nothing is left."""
    if node.outputs or any(block.nodes for block in node.blocks):
        return False
    match node.operation:
        case If():
            return True
        case Loop():
            return node.inputs[0] != Const(None)
    return False


def _without(block: Block, idle: set[int]) -> Block:
    nodes = (node for node in block.nodes if id(node) not in idle)
    kept = (replace(n, blocks=tuple(_without(b, idle) for b in n.blocks)) for n in nodes)
    return replace(block, nodes=tuple(kept))


def _handing_on_less(body: Block) -> Block:
    used = _names(body.results)
    needs: dict[str, list[tuple[Operand, ...]]] = {}
    for operands, passed in _uses(body):
        used |= _names(operands)
        for names, needed in passed:
            for name in names:
                needs.setdefault(name, []).append(needed)
    waiting = list(used)
    while waiting:
        for needed in needs.get(waiting.pop(), ()):
            more = _names(needed) - used
            waiting += more
            used |= more
    return _pruned(body, used)


def _names(operands: Iterable[Operand]) -> set[str]:
    return {operand.name for operand in operands if isinstance(operand, Ref)}


def _uses(block: Block) -> Iterator[tuple[tuple[Operand, ...], list[Passing]]]:
    """What each node uses in any case, and what only if its outputs are used."""
    for node in block.nodes:
        results = [inner.results for inner in node.blocks]
        outputs = [value.name for value in node.outputs]
        match node.operation:
            case If() | With():
                given = zip(outputs, zip(*results, strict=True), strict=True)
                yield node.operands, [((name,), operands) for name, operands in given]
            case Loop():
                carried = zip(
                    outputs,
                    (value.name for value in node.blocks[0].parameters[1:]),
                    zip(node.inputs[2:], results[0][1:], strict=True),
                    strict=True,
                )
                fixed = (*node.inputs[:2], results[0][0])
                yield fixed, [((name, inside), operands) for name, inside, operands in carried]
            case _ if is_pure(node):
                yield (), [((name,), node.operands) for name in outputs]
            case _:
                yield node.operands, []
        for inner in node.blocks:
            yield from _uses(inner)


def _pruned(block: Block, used: set[str]) -> Block:
    kept = (node for node in block.nodes if not is_pure(node) or used & _outputs(node))
    nodes = tuple(_pruned_node(node, used) for node in kept)
    return block if same(nodes, block.nodes) else replace(block, nodes=nodes)


def _outputs(node: Node) -> set[str]:
    return {value.name for value in node.outputs}


def _pruned_node(node: Node, used: set[str]) -> Node:
    if not node.blocks:
        return node
    blocks = tuple(_pruned(inner, used) for inner in node.blocks)
    inputs, first = node.inputs, 0
    kept = [i for i, value in enumerate(node.outputs) if value.name in used]
    if isinstance(node.operation, Loop):
        (body,), first = blocks, 1
        inside = [value.name for value in body.parameters[1:]]
        kept = [i for i, name in enumerate(inside) if name in used or i in kept]
        inputs = (*node.inputs[:2], *(node.inputs[2 + i] for i in kept))
        if len(kept) < len(inside):
            parameters = (body.parameters[0], *(body.parameters[1 + i] for i in kept))
            blocks = (replace(body, parameters=parameters),)
    outputs = tuple(node.outputs[i] for i in kept)
    if same(outputs, node.outputs) and same(inputs, node.inputs) and same(blocks, node.blocks):
        return node
    blocks = tuple(
        replace(b, results=(*b.results[:first], *(b.results[first + i] for i in kept)))
        for b in blocks
    )
    return replace(node, inputs=inputs, outputs=outputs, blocks=blocks)
