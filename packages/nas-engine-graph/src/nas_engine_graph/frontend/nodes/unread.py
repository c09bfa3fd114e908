"""What changes something that nobody reads afterwards, found from the end of a function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from nas_engine_graph.ir import Block, Builtin, If, Loop, Node, Operand, Ref, With, is_pure

__all__ = ["Unread"]


class Unread:
    """The nodes that do nothing but change what nobody reads afterwards.

    Attributes:
        kept: groups of values of which others may know.
        dead: the ids of the nodes.
    """

    kept: AbstractSet[str]

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}
        self.dead: set[int] = set()

    def written(self, node: Node) -> Operand | None:
        """What a node changes, if it does nothing else but compute its outputs."""
        raise NotImplementedError

    # ------------------------------------------------------------------ what is the same

    def root(self, name: str) -> str:
        while (above := self.parent.get(name, name)) != name:
            name = above
        return name

    def names(self, operands: Iterable[Operand]) -> Iterator[str]:
        """The values that are taken."""
        return (operand.name for operand in operands if isinstance(operand, Ref))

    def join(self, name: str, operands: Iterable[Operand]) -> None:
        for shared in self.names(operands):
            self.parent[self.root(shared)] = self.root(name)

    def hand_on(self, node: Node) -> None:
        """Notes what a branch, context or loop gives other names, or goes through."""
        names = [value.name for value in node.outputs]
        match node.operation:
            case If() | With():
                for block in node.blocks:
                    for name, result in zip(names, block.results, strict=True):
                        self.join(name, [result])
            case Loop():
                (block,) = node.blocks
                inside = [Ref(value.name) for value in block.parameters[1:]]
                carried = zip(inside, node.inputs[2:], block.results[1:], strict=True)
                for name, shared in zip(names, carried, strict=True):
                    self.join(name, shared)
            case Builtin("trips"):
                self.join(names[0], node.inputs)

    # ------------------------------------------------------------------ what is read later

    def groups(self, operands: Iterable[Operand]) -> frozenset[str]:
        return frozenset(map(self.root, self.names(operands)))

    def before(self, block: Block, after: frozenset[str]) -> frozenset[str]:
        """What is read in a block or after it."""
        live = after | self.groups(block.results)
        for node in reversed(block.nodes):
            live |= self.of(node, live)
        return live

    def of(self, node: Node, live: frozenset[str]) -> frozenset[str]:
        if isinstance(node.operation, Loop):
            live |= self.groups(node.inputs[:1])  # Each trip asks what it goes through for more.
            while not (inside := self.before(node.blocks[0], live)) <= live:
                live |= inside
        elif node.blocks:
            live = live.union(*(self.before(block, live) for block in node.blocks))
        elif not any(self.root(value.name) in live for value in node.outputs):
            if is_pure(node):
                return frozenset()
            written = self.written(node)
            if written is not None and not (self.kept | live) & self.groups([written]):
                self.dead.add(id(node))
                return frozenset()
        self.dead.discard(id(node))  # In an earlier round nobody seemed to read it.
        return live | self.groups(node.operands)
