"""What loops carry and branches give, in the order in which the source comes to it.

TorchScript has orders that depend on the names of variables.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from nas_engine_graph.ir import Block, Const, Function, If, Loop, Node, Operand, Ref, key, walk
from nas_engine_graph.ir.placeless import placeless

__all__ = ["in_order"]


def in_order(function: Function) -> Function:
    """The function with the same loops and branches, whatever its variables are called."""
    if not any(isinstance(node.operation, If | Loop) for node in walk(function.body)):
        return function
    moved = placeless(function, frozenset())
    body = _Order(moved, function.body).body
    return replace(function, body=_Order(moved, body).body)  # Now that what is outside is in order.


class _Order:
    def __init__(self, moved: Collection[str], body: Block) -> None:
        self.moved = moved
        self.numbers: dict[str, int] = {}
        self.number(body)
        self.body = self.block(body)

    def number(self, block: Block) -> None:
        """Numbers the values in the order in which they are defined."""
        for value in block.parameters:
            self.numbers[value.name] = len(self.numbers)
        for node in block.nodes:
            for inner in node.blocks:
                self.number(inner)
            for value in node.outputs:
                self.numbers[value.name] = len(self.numbers)

    def block(self, block: Block) -> Block:
        return replace(block, nodes=tuple(map(self.node, block.nodes)))

    def node(self, node: Node) -> Node:
        if not node.blocks:
            return node
        node = replace(node, blocks=tuple(map(self.block, node.blocks)))
        match node.operation:
            case If():
                return self.branch(node)
            case Loop():
                return self.loop(node)
        return node

    def branch(self, node: Node) -> Node:
        made = [
            {value.name: at for at, inner in enumerate(block.nodes) for value in inner.outputs}
            for block in node.blocks
        ]

        def place(index: int) -> Any:
            results = [block.results[index] for block in node.blocks]
            return [self.place(result, own) for result, own in zip(results, made, strict=True)]

        order = sorted(range(len(node.outputs)), key=place)
        blocks = (
            replace(block, results=tuple(block.results[i] for i in order)) for block in node.blocks
        )
        outputs = tuple(node.outputs[i] for i in order)
        return replace(node, outputs=outputs, blocks=tuple(blocks))

    def place(self, result: Operand, made: dict[str, int]) -> tuple[int, int, str]:
        """Where an arm comes to what it gives; last to what it only hands on."""
        match result:
            case Const(value):
                return 3, 0, repr(key(value))
            case Ref(name) if name not in made:
                return 2, self.numbers.get(name, 0), ""
            case Ref(name):
                return int(name in self.moved), made[name], str(self.numbers[name])

    def loop(self, node: Node) -> Node:
        (body,) = node.blocks
        order = _order(body, self.moved)
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
