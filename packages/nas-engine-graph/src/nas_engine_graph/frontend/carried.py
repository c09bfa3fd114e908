"""What loops carry, in the order in which the source comes to it: TorchScript has others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from nas_engine_graph.ir import Block, Function, Loop, Node, Ref, walk
from nas_engine_graph.ir.placeless import placeless

__all__ = ["in_order"]


def in_order(function: Function) -> Function:
    """The function with the same loops, whatever its variables are called."""
    if not any(isinstance(node.operation, Loop) for node in walk(function.body)):
        return function
    return replace(function, body=_block(function.body, placeless(function, frozenset())))


def _block(block: Block, moved: Collection[str]) -> Block:
    return replace(block, nodes=tuple(_node(node, moved) for node in block.nodes))


def _node(node: Node, moved: Collection[str]) -> Node:
    if not node.blocks:
        return node
    node = replace(node, blocks=tuple(_block(block, moved) for block in node.blocks))
    if not isinstance(node.operation, Loop):
        return node
    (body,) = node.blocks
    order = _order(body, moved)
    return replace(
        node,
        inputs=(*node.inputs[:2], *(node.inputs[2 + i] for i in order)),
        outputs=tuple(node.outputs[i] for i in order),
        blocks=(
            replace(
                body,
                parameters=(body.parameters[0], *(body.parameters[1 + i] for i in order)),
                results=(body.results[0], *(body.results[1 + i] for i in order)),
            ),
        ),
    )


def _order(body: Block, moved: Collection[str]) -> list[int]:
    """The order in which the body comes to what it carries; to what is ``moved``, at its end."""
    places: dict[str, tuple[int, int, int]] = {}
    for at, node in enumerate(walk(body)):
        late = int(any(value.name in moved for value in node.outputs))
        names = [o.name for o in node.operands if isinstance(o, Ref)]
        for number, name in enumerate([*names, *(value.name for value in node.outputs)]):
            found = (late, at, number)
            places[name] = min(places.get(name, found), found)

    def place(index: int) -> tuple[int, int, int]:
        made = body.results[1 + index]
        names = (body.parameters[1 + index].name, made.name if isinstance(made, Ref) else "")
        return min(places.get(name, (2, 0, 0)) for name in names)

    return sorted(range(len(body.results) - 1), key=place)
