"""What loops carry and branches give, in one order whatever variables are called.

TorchScript has orders that depend on the names of variables, and generated code has other names.
The order here depends on nothing but the statements: by the first that makes or reads a value, and
where this is the same, by what is handed on, from where and to where, as far as need be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from nas_engine_graph.ir import (
    Block,
    Const,
    Function,
    If,
    Loop,
    Node,
    Operand,
    Ref,
    With,
    Write,
    key,
    walk,
)
from nas_engine_graph.ir.placeless import placeless, types

__all__ = ["in_order"]

_LATE = 2**62


def in_order(function: Function) -> Function:
    """The function with the values of its loops, branches and contexts in their order."""
    if not any(node.blocks for node in walk(function.body)):
        return function
    ports = _Ports(function)
    ranks = ports.ranks()

    def ordered(block: Block) -> Block:
        return replace(block, nodes=tuple(map(sorted_, block.nodes)))

    def sorted_(node: Node) -> Node:
        if not node.blocks:
            return node
        order = sorted(range(len(node.outputs)), key=lambda i: ranks[node.outputs[i].name])
        return _permuted(node, order, tuple(map(ordered, node.blocks)))

    return replace(function, body=ordered(function.body))


def _permuted(node: Node, order: list[int], blocks: tuple[Block, ...]) -> Node:
    """A node that hands on the same values in another order, with other blocks."""
    fixed = 1 if isinstance(node.operation, Loop) else 0

    def pick(items: tuple[Any, ...], first: int) -> tuple[Any, ...]:
        return (*items[:first], *(items[first + i] for i in order))

    blocks = tuple(
        replace(
            block,
            parameters=pick(block.parameters, 1) if fixed else block.parameters,
            results=pick(block.results, fixed),
        )
        for block in blocks
    )
    inputs = pick(node.inputs, 2) if fixed else node.inputs
    return replace(node, inputs=inputs, outputs=pick(node.outputs, 0), blocks=blocks)


@dataclass(eq=False, slots=True)
class _Port:
    """A value that a branch gives or a loop carries.

    Attributes:
        kind: the type of the value.
        node: the place of the branch or loop.
        given: the results of its arms; of a loop what it begins with and goes on with.
        first: the place of the first statement in it that makes or reads the value.
        uses: where statements read the value.
        handed: the other values of branches and loops of which it is a part, and where.
    """

    kind: str
    node: int
    given: tuple[Operand, ...] = ()
    first: int = _LATE
    uses: list[Any] = field(default_factory=list)
    handed: list[tuple[_Port, Any]] = field(default_factory=list)


class _Ports:
    """What hands values on in a function, and the places of its statements."""

    def __init__(self, function: Function) -> None:
        own = (node.operation for node in walk(function.body))
        written = frozenset(op.path[-1] for op in own if isinstance(op, Write))
        self.inline = placeless(function, written)
        self.kinds = types(function)
        self.at = 0
        self.places: dict[str, tuple[int, int]] = {}
        self.known: dict[str, tuple[_Port, str]] = {}
        self.by_output: dict[str, _Port] = {}
        self.define(value.name for value in function.body.parameters)
        self.block(function.body)
        self.read(function.body.results, "results")
        for port in self.by_output.values():
            for role, operand in enumerate(port.given):
                for name, path in self.leaves(operand, (role,)):
                    if name in self.known:
                        other, part = self.known[name]
                        other.handed.append((port, (part, path)))

    # ------------------------------------------------------------------ places

    def define(self, names: Iterable[str]) -> None:
        self.places.update((name, (self.at, index)) for index, name in enumerate(names))

    def leaves(self, operand: Operand, path: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
        """The values of which an operand is made, and where in it they are."""
        if isinstance(operand, Const):
            return
        if (node := self.inline.get(operand.name)) is None:
            yield operand.name, path
            return
        for index, inner in enumerate(node.operands):
            yield from self.leaves(inner, (*path, index))

    def read(self, operands: Iterable[Operand], how: str = "") -> None:
        for index, operand in enumerate(operands):
            for name, path in self.leaves(operand, (index,)):
                if name in self.known:
                    port, part = self.known[name]
                    port.uses.append((self.at, part, how, path))
                    if part == "inside":
                        port.first = min(port.first, self.at)

    def block(self, block: Block) -> None:
        for node in block.nodes:
            if len(node.outputs) == 1 and node.outputs[0].name in self.inline:
                continue
            self.at += 1
            match node.operation:
                case If() | With():
                    self.read(node.operands)
                    self.hand_on(node)
                case Loop():
                    self.read(node.inputs[:2])
                    self.carry(node)
                case _:
                    self.read(node.operands)
                    self.define(value.name for value in node.outputs)

    def port(self, value: Any, given: tuple[Operand, ...], node: int) -> _Port:
        made = self.by_output[value.name] = _Port(self.kinds[value.name], node, given)
        return made

    def hand_on(self, node: Node) -> None:
        place = self.at
        for block in node.blocks:
            self.block(block)
        results = zip(*(block.results for block in node.blocks), strict=True)
        for value, given in zip(node.outputs, results, strict=True):
            port = self.port(value, given, place)
            port.first = self.first(given, place)
            self.known[value.name] = port, "after"

    def carry(self, node: Node) -> None:
        place = self.at
        (block,) = node.blocks
        given = zip(node.inputs[2:], block.results[1:], strict=True)
        ports = [self.port(v, g, place) for v, g in zip(node.outputs, given, strict=True)]
        index, *inside = block.parameters
        self.define([index.name])
        for value, port in zip(inside, ports, strict=True):
            self.known[value.name] = port, "inside"
        self.block(block)
        self.at += 1
        self.read(block.results[:1], "proceed")
        for value, port in zip(node.outputs, ports, strict=True):
            self.known[value.name] = port, "after"
            port.first = min(port.first, self.first(port.given[1:], place))

    def first(self, given: Iterable[Operand], node: int) -> int:
        """The place of the first statement behind ``node`` that makes one of these values."""
        found = (self.place(operand) for operand in given)
        return min((place for place in found if place > node), default=_LATE)

    def place(self, operand: Operand) -> int:
        if isinstance(operand, Const):
            return 0
        if operand.name in self.known:
            return self.known[operand.name][0].node
        return self.places.get(operand.name, (0, 0))[0]

    # ------------------------------------------------------------------ order

    def ranks(self) -> Mapping[str, int]:
        """A number for each output of a branch or loop: equal where nothing tells two apart."""
        ports = list(self.by_output.values())
        ranks = _ranked(ports, lambda p: (p.node, p.first, p.uses))
        count = 0
        while len(set(ranks.values())) > count:  # It rises as long as more are told apart.
            count = len(set(ranks.values()))
            ranks = _ranked(ports, partial(self.described, ranks))
        return {name: ranks[port] for name, port in self.by_output.items()}

    def described(self, ranks: Mapping[_Port, int], port: _Port) -> Any:
        """What is known of a value: its rank, what it is made of, and what is made of it."""
        given = tuple(self.meaning(operand, ranks) for operand in port.given)
        handed = sorted((ranks[other], where) for other, where in port.handed)
        return ranks[port], given, handed, port.kind

    def meaning(self, operand: Operand, ranks: Mapping[_Port, int]) -> Any:
        match operand:
            case Const(value):
                return 0, repr(key(value))
            case Ref(name) if name in self.inline:
                node = self.inline[name]
                inner = tuple(self.meaning(o, ranks) for o in node.operands)
                return 1, repr(node.operation), inner
            case Ref(name) if name in self.known:
                port, part = self.known[name]
                return 2, ranks[port], part
            case Ref(name):
                return 3, self.places.get(name, (0, 0))


def _ranked(ports: Iterable[_Port], describe: Callable[[_Port], Any]) -> dict[_Port, int]:
    described = [(describe(port), port) for port in ports]
    described.sort(key=lambda pair: pair[0])
    ranks: dict[_Port, int] = {}
    last, rank = None, -1
    for description, port in described:
        rank += description != last
        ranks[port], last = rank, description
    return ranks
