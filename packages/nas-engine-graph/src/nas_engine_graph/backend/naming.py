"""Variables for values: values that are never needed at the same time may share one.

Liveness is exact on structured code. Values that meet at a branch or a loop share a variable
where they can, so that most copies disappear and the source reads as a person would have written
it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from nas_engine_graph.backend.spelling import AUGMENTED
from nas_engine_graph.ir import (
    Block,
    Builtin,
    Function,
    If,
    Loop,
    Node,
    Operand,
    Raise,
    Ref,
    With,
    walk,
)
from nas_engine_graph.ir.narrowing import Narrowing
from nas_engine_graph.reserved import RESERVED

__all__ = ["Names", "proceed_name"]

_SUFFIX = re.compile(r"(_\d+)+$")


def proceed_name(node: Node) -> str:
    """The pseudo value that says whether a loop goes on."""
    return f"proceed@{id(node)}"


class Names:
    """The variable of every value of a function."""

    def __init__(
        self,
        function: Function,
        uses: Callable[[Operand], frozenset[str]],
        inlined: Callable[[Node], bool],
        taken: Iterable[str],
        kinds: Mapping[str, str],
        narrowings: Mapping[str, Narrowing],
    ) -> None:
        self._uses, self._inlined, self._kinds = uses, inlined, kinds
        self._narrowings = narrowings
        self._parent: dict[str, str] = {}
        self._against: dict[str, set[str]] = {}
        self._order: dict[str, None] = {}
        self._moves: list[tuple[str, str]] = []
        self._carried: dict[str, str] = {}
        self.used: set[str] = set()
        parameters = [value.name for value in function.body.parameters]
        live = self._block(function.body, frozenset())
        self._define(parameters, live)
        for name in parameters:
            self._order[name] = None
        for a, b in reversed(self._moves):
            self._try_join(a, b, parameters)
        self._assign(parameters, frozenset(taken) | RESERVED)

    def __getitem__(self, name: str) -> str:
        return self._variable[self._root(name)]

    def is_read(self, name: str) -> bool:
        """Whether assigning it can matter: the variables of loops are read by later trips."""
        return name in self.used or self._carried.get(name, name) in self.used or "@" in name

    # ------------------------------------------------------------------ groups

    def _root(self, name: str) -> str:
        while (above := self._parent.get(name, name)) != name:
            name = above
        return name

    def _join(self, a: str, b: str) -> None:
        one, other = self._root(a), self._root(b)
        if one != other:
            self._parent[other] = one
            self._against.setdefault(one, set()).update(self._against.pop(other, set()))

    def _enemies(self, name: str) -> set[str]:
        return {self._root(n) for n in self._against.get(self._root(name), ())}

    def _try_join(self, a: str, b: str, parameters: list[str]) -> None:
        if self._kind(a) != self._kind(b):
            return
        one, other = self._root(a), self._root(b)
        owners = {self._root(p): p for p in parameters}
        if (one in owners and other in owners) or other in self._enemies(one):
            return
        if other in owners:
            one, other = other, one
        for enemy in self._enemies(other):
            self._against.setdefault(enemy, set()).add(one)
        self._join(one, other)

    def _kind(self, name: str) -> str:
        return self._kinds.get(name, "bool")

    def _define(self, names: Iterable[str], live: frozenset[str]) -> None:
        names = list(names)
        for name in names:
            self._order[name] = None
            self._part(name, (live | set(names)) - {name})

    def _part(self, name: str, others: AbstractSet[str]) -> None:
        self._against.setdefault(self._root(name), set()).update(others)
        for other in others:
            self._against.setdefault(self._root(other), set()).add(name)

    def _narrowed(self, node: Node, after: Iterable[Node]) -> None:
        """Parts what a branch tells to be of a narrower type from what is set in blocks there.

        TorchScript lets these set a variable to nothing but what is of the type that it has around
        them.
        """
        if not isinstance(node.operation, If) or not isinstance(asked := node.inputs[0], Ref):
            return
        narrowing = self._narrowings.get(asked.name, Narrowing())
        then, other = node.blocks
        for answer, block, beside in ((True, then, other), (False, other, then)):
            for name in narrowing.told(answer):
                self._part(name, set(_set_inside(block.nodes)) - {name})
                if _raises(beside):
                    self._part(name, set(_set_inside(after)) - {name})

    # ------------------------------------------------------------------ liveness

    def _refs(self, operands: Iterable[Operand]) -> frozenset[str]:
        found: frozenset[str] = frozenset().union(*(self._uses(o) for o in operands))
        self.used |= found
        return found

    def _block(self, block: Block, live: frozenset[str]) -> frozenset[str]:
        live = live | self._refs(block.results)
        for index, node in reversed(list(enumerate(block.nodes))):
            if self._inlined(node):
                continue
            self._narrowed(node, block.nodes[index + 1 :])
            if isinstance(node.operation, Loop):
                live = self._loop(node, live)
            elif node.blocks:
                live = self._branches(node, live)
            else:
                outputs = [value.name for value in node.outputs]
                around = live - set(outputs)
                if isinstance(node.operation, Builtin) and node.operation.name in AUGMENTED:
                    around |= self._refs(node.inputs[1:])  # They are read after it is set.
                    self._move(outputs, node.inputs[: len(outputs)])
                self._define(outputs, around)
                live = (live - set(outputs)) | self._refs(node.operands)
        return live

    def _branches(self, node: Node, live: frozenset[str]) -> frozenset[str]:
        outputs = [value.name for value in node.outputs]
        after = live - set(outputs)
        self._define(outputs, after)
        before = self._refs(node.operands)
        for block in node.blocks:
            given = [value.name for value in block.parameters]
            inside = self._block(block, after)
            self._define(given, inside)
            before |= inside - set(given)
            self._move(outputs, block.results)
        return before

    def _loop(self, node: Node, live: frozenset[str]) -> frozenset[str]:
        (block,) = node.blocks
        proceed = proceed_name(node)
        index, *carried = [value.name for value in block.parameters]
        outputs = [value.name for value in node.outputs]
        for inside, outside in zip(carried, outputs, strict=True):
            self._join(inside, outside)
            self._carried[inside] = outside
        variables = {*carried, proceed}
        after = live - set(outputs)
        around: frozenset[str] = frozenset()
        for _ in range(2):
            self._define([*carried, proceed], after | around)
            inside_live = self._block(block, after | around | {index})
            around = inside_live - variables - {index}
        self._define([index], (inside_live | after | around | variables) - {index})
        self._define([*carried, proceed], after | around)
        trips = self._refs(node.inputs[:1])
        for name, start in zip(carried, node.inputs[2:], strict=True):
            # It is set before the trips are counted, which may take what it starts with.
            self._define([name], trips - ({start.name} if isinstance(start, Ref) else set()))
        self._move([proceed, *carried], block.results)
        self._move([proceed, *carried], node.inputs[1:])
        for name in outputs:
            self._order[name] = None
        return (after | around | self._refs(node.inputs)) - variables - {index}

    def _move(self, targets: Iterable[str], sources: Iterable[Operand]) -> None:
        for target, source in zip(targets, sources, strict=True):
            if isinstance(source, Ref) and self._uses(source) == {source.name}:
                self._moves.append((target, source.name))

    # ------------------------------------------------------------------ colours

    def _assign(self, parameters: list[str], taken: frozenset[str]) -> None:
        self._variable: dict[str, str] = {}
        # One type for one variable: TorchScript, and readers, expect that.
        kinds: dict[str, str] = {}
        for name in parameters:
            self._variable[self._root(name)] = name
            kinds[name] = self._kind(name)
        for name in reversed(self._order):
            root = self._root(name)
            if root in self._variable:
                continue
            near = {self._variable[e] for e in self._enemies(root) if e in self._variable}
            base = _SUFFIX.sub("", name.split("@")[0]) or "value"
            candidate, number = base, 0
            kind = self._kind(name)
            while candidate in near or candidate in taken or kinds.get(candidate, kind) != kind:
                number += 1
                candidate = f"{base}_{number}"
            self._variable[root] = candidate
            kinds[candidate] = kind


def _set_inside(nodes: Iterable[Node]) -> Iterator[str]:
    """The values whose variables are set in blocks of branches and loops."""
    for node in nodes:
        if isinstance(node.operation, With):
            yield from _set_inside(node.blocks[0].nodes)
        elif node.blocks:
            inside = (value for block in node.blocks for value in block.parameters)
            yield from (value.name for value in inside)
            yield from (v.name for inner in walk(Block((), (node,))) for v in inner.outputs)


def _raises(block: Block) -> bool:
    return bool(block.nodes) and isinstance(block.nodes[-1].operation, Raise)
