"""One function with the nodes of a match replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from nas_engine_graph.errors import InvalidGraphError
from nas_engine_graph.ir import Block, Function, Invoke, Node, Operand, Ref, Value
from nas_engine_graph.mutate.fragment import Fragment
from nas_engine_graph.mutate.matching import Match

__all__ = ["Splice"]

Path = tuple[str, ...]


class Splice:
    """A function, a match in it, and what takes its place, which calls modules at ``paths``."""

    def __init__(
        self,
        function: Function,
        match: Match,
        look: Fragment,
        put: Fragment,
        paths: Mapping[str, Path],
    ) -> None:
        self._function, self._match, self._paths = function, match, paths
        last = match.nodes[-1]
        if len(put.body.results) != len(last.outputs):
            given = f"the replacement gives {len(put.body.results)} values"
            raise InvalidGraphError((f"{given}, the pattern {len(last.outputs)}",))
        self._operands = _arguments(match, look, put)
        self._taken = {value.name for value in _values(function.body)}
        self._nodes = tuple(map(self._copied, put.body.nodes))
        results = map(self._operand, put.body.results)
        self._results = {v.name: o for v, o in zip(last.outputs, results, strict=True)}

    def body(self) -> Block:
        """What the function does then."""
        return self._block(self._function.body)

    def _copied(self, node: Node) -> Node:
        operation = node.operation
        if isinstance(operation, Invoke):
            operation = replace(operation, path=self._paths[".".join(operation.path)])
        inputs = tuple(map(self._operand, node.inputs))
        keywords = tuple((name, self._operand(operand)) for name, operand in node.keywords)
        outputs = tuple(Value(self._named(value.name), value.type) for value in node.outputs)
        for value, made in zip(node.outputs, outputs, strict=True):
            self._operands[value.name] = Ref(made.name)
        return replace(node, operation=operation, inputs=inputs, keywords=keywords, outputs=outputs)

    def _operand(self, operand: Operand) -> Operand:
        return self._operands[operand.name] if isinstance(operand, Ref) else operand

    def _named(self, hint: str) -> str:
        name, number = hint, 0
        while name in self._taken:
            number += 1
            name = f"{hint}_{number}"
        self._taken.add(name)
        return name

    def _swapped(self, operand: Operand) -> Operand:
        return self._results.get(operand.name, operand) if isinstance(operand, Ref) else operand

    def _block(self, block: Block) -> Block:
        nodes: list[Node] = []
        matched = set(map(id, self._match.nodes))
        for node in block.nodes:
            if node is self._match.nodes[-1]:
                nodes.extend(self._nodes)
            elif id(node) not in matched:
                nodes.append(self._node(node))
        return replace(block, nodes=tuple(nodes), results=tuple(map(self._swapped, block.results)))

    def _node(self, node: Node) -> Node:
        inputs = tuple(map(self._swapped, node.inputs))
        keywords = tuple((name, self._swapped(operand)) for name, operand in node.keywords)
        blocks = tuple(map(self._block, node.blocks))
        same = (inputs, keywords, blocks) == (node.inputs, node.keywords, node.blocks)
        # The very node, where nothing changed: other matches know it by identity.
        return node if same else replace(node, inputs=inputs, keywords=keywords, blocks=blocks)


def _arguments(match: Match, look: Fragment, put: Fragment) -> dict[str, Operand]:
    """What the names that the replacement takes stand for."""
    if set(put.taken) <= set(look.taken):
        given: Any = zip(put.taken, put.taken, strict=True)
    elif len(put.taken) == len(look.taken):
        given = zip(put.taken, look.taken, strict=True)
    else:
        unknown = next(name for name in put.taken if name not in look.taken)
        raise InvalidGraphError(
            (f"the replacement takes %{unknown}; the pattern takes {', '.join(look.taken)}",)
        )
    return {name: match.values[source] for name, source in given if source in match.values}


def _values(block: Block) -> Iterator[Value]:
    yield from block.parameters
    for node in block.nodes:
        yield from node.outputs
        for inner in node.blocks:
            yield from _values(inner)
