"""Functions in which nothing is left open that is known, and nothing is handed on for nothing.

TorchScript looks for some of this, before it knows what is constant for eager code. What it leaves
it would find when it reads generated code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, TypeAlias

from nas_engine_graph.frontend.nodes.equal import equal_values
from nas_engine_graph.frontend.nodes.folding import folded
from nas_engine_graph.frontend.nodes.forgotten import is_record
from nas_engine_graph.frontend.nodes.nones import Solid
from nas_engine_graph.frontend.nodes.unused import same, without_unused
from nas_engine_graph.importable import resolve
from nas_engine_graph.ir import (
    Block,
    Builtin,
    Call,
    Const,
    If,
    Loop,
    Node,
    Operand,
    Raise,
    Ref,
    Symbol,
    Value,
    With,
    references,
    walk,
)
from nas_engine_graph.ir.narrowing import Narrowing, narrowings

__all__ = ["raises", "settled"]

_UNPACK = Builtin("unpack")
_NOTHING = Narrowing()

AnyValue: TypeAlias = Callable[[Node], tuple[Sequence[Node], Operand]]
"""Of a value that is not set: what to take for it, and the nodes that make it."""


def settled(
    body: Block,
    any_value: AnyValue,
    shorter: Callable[[Node], Node],
    alike: Callable[[str], Value],
) -> Block:
    """The body of a function that means the same.

    What constants make is constant, and so are branches that these choose. What is known to be
    another value, as it is handed on unchanged or twice, or an item of a new tuple, is that value.
    Nobody asks whether something is None that never is. A branch does not ask whether something is
    not so. What nobody uses is left out.

    Args:
        body: what the function does.
        any_value: what fills in values that are not set.
        shorter: a call of which more is known, without what need not be given then.
        alike: a new value, by the name of one that has the same type.
    """
    body = _simplified(without_unused(body), _Known(shorter, alike))
    if any(node.operation == Builtin("unset") for node in walk(body)):
        body = _simplified(body, _Known(shorter, alike, any_value))
    return body


def _simplified(body: Block, known: _Known) -> Block:
    while known.more:
        known.more, known.solid, known.narrowings = False, Solid(body), narrowings(body)
        known.taken, known.body = _taken_apart(body), body
        made = known.block(body)
        body = body if made is body else without_unused(made)
    return body


def raises(block: Block) -> bool:
    """Whether nothing comes after a block."""
    match block.nodes[-1:]:
        case [Node(Raise())]:
            return True
        case [Node(If(), blocks=blocks)]:
            return all(map(raises, blocks))
    return False


class _Known:
    """Which operands values are; ``more`` if some were found that earlier uses do not know of."""

    solid: Solid
    narrowings: Mapping[str, Narrowing]
    taken: AbstractSet[Operand]
    body: Block

    def __init__(
        self,
        shorter: Callable[[Node], Node],
        alike: Callable[[str], Value],
        any_value: AnyValue | None = None,
    ) -> None:
        self.shorter, self.alike, self.any_value = shorter, alike, any_value
        self.unset: set[Operand] = set()
        self.answered: Mapping[str, Operand] = {}
        self.there: frozenset[str] = frozenset()
        self.same: dict[str, Operand] = {}
        self.negated: dict[str, Operand] = {}
        self.tuples: dict[str, Sequence[Operand]] = {}
        self.lists: dict[str, Sequence[Operand]] = {}
        self.more = True

    def note(self, value: Value, operand: Operand) -> None:
        if value.name not in self.same:
            self.same[value.name] = operand
            self.more = True

    def of(self, operand: Operand) -> Operand:
        while isinstance(operand, Ref) and operand.name in self.same:
            operand = self.same[operand.name]
        return self.answered.get(operand.name, operand) if isinstance(operand, Ref) else operand

    def block(self, block: Block) -> Block:
        nodes = tuple(made for node in block.nodes for made in self.node(node))
        results = tuple(map(self.of, block.results))
        if same(nodes, block.nodes) and same(results, block.results):
            return block
        return replace(block, nodes=nodes, results=results)

    def node(self, node: Node) -> Sequence[Node]:
        inputs = tuple(map(self.of, node.inputs))
        given = tuple(self.of(operand) for _, operand in node.keywords)
        if not same((*inputs, *given), node.operands):
            names = (name for name, _ in node.keywords)
            keywords = tuple(zip(names, given, strict=True))
            node = self.shorter(replace(node, inputs=inputs, keywords=keywords))
        match node.operation:
            case If():
                return self.branch(node)
            case Loop():
                return self.loop(node)
            case With():
                return [self.opened(self.handing_on(node))]
            case Builtin("unset") if self.any_value is not None:
                return self.filled(node, self.any_value)
            case Builtin("unpack") if (items := self.items(node.inputs[0])) is not None:
                for value, known in zip(node.outputs, items, strict=True):
                    self.note(value, known)
                return []
        node = self.plainer(node)
        self.learn(node)
        found = self.item(node) or self.nothing(node) or self.among(node) or _constant(node)
        if found is not None:
            self.note(node.outputs[0], found)
            return []
        return [node]

    def learn(self, node: Node) -> None:
        """Note what a node makes, for those that take it."""
        match node.operation:
            case Builtin("unset"):
                self.unset.add(Ref(node.outputs[0].name))
            case Builtin("not"):
                self.negated[node.outputs[0].name] = node.inputs[0]
            case Builtin("list"):
                self.lists[node.outputs[0].name] = node.inputs
            case Builtin("tuple"):
                self.tuples[node.outputs[0].name] = node.inputs
            case Call() if is_record(node) and not node.keywords:
                self.tuples[node.outputs[0].name] = node.inputs

    def filled(self, node: Node, any_value: AnyValue) -> Sequence[Node]:
        """What makes a value for one that is not set."""
        nodes, operand = any_value(node)
        self.note(node.outputs[0], operand)
        return nodes

    def items(self, operand: Operand) -> Sequence[Operand] | None:
        """The items of a tuple that is new."""
        return self.tuples.get(operand.name) if isinstance(operand, Ref) else None

    def item(self, node: Node) -> Operand | None:
        """What is taken from a tuple that is new."""
        match node:
            case Node(Builtin("getitem"), (Ref() as owner, Const(int(index)))):
                items = self.items(owner) or ()
                return items[index] if -len(items) <= index < len(items) else None
        return None

    def nothing(self, node: Node) -> Operand | None:
        """Whether something is None, or of a type, that always or never is; what isn't then."""
        match node:
            case Node(Builtin("is" | "is_not" as name), (Ref() as asked, Const(None))):
                return Const(name == "is_not") if asked in self.solid else None
            case Node(Builtin("typed"), (Ref(name) as asked,)) if name in self.there:
                plain = self.solid.kinds.get(name) == f"Optional[{node.outputs[0].type}]"
                return asked if plain else None
            case Node(Builtin("isinstance"), (Const(value), Const(tuple(kinds)))):
                known = not isinstance(value, Symbol)
                return Const(isinstance(value, tuple(map(_class, kinds)))) if known else None
            case Node(Builtin("isinstance"), (asked, Const(tuple(kinds)))):
                kind = self.solid.kind(asked)
                return Const(False) if kind and kind not in map(_class, kinds) else None
        return None

    def plainer(self, node: Node) -> Node:
        """A question for the type of what is of this or None, as one for None."""
        match node:
            case Node(Builtin("isinstance"), (Ref() as asked, Const(tuple(kinds)))):
                if self.solid.kind(asked) in map(_class, kinds):
                    self.more = True
                    return replace(node, operation=Builtin("is_not"), inputs=(asked, Const(None)))
        return node

    def among(self, node: Node) -> Const | None:
        """Whether a constant is in a new list of constants, which only this node has."""
        match node:
            case Node(Builtin("contains"), (Ref(name), Const())) if name in self.lists:
                values = [o.value for o in self.lists[name] if isinstance(o, Const)]
                plain = all(isinstance(value, int | float | str) for value in values)
                fixed = plain and len(values) == len(self.lists[name])
                if fixed and list(references(self.body)).count(name) == 1:
                    return folded(node.operation, [Const(tuple(values)), node.inputs[1]])
        return None

    def branch(self, node: Node) -> Sequence[Node]:
        (condition,), blocks = node.inputs, node.blocks
        while isinstance(condition, Ref) and condition.name in self.negated:
            condition, blocks = self.negated[condition.name], blocks[::-1]
        if isinstance(condition, Const):
            chosen = self.block(blocks[0 if condition.value else 1])
            for value, result in zip(node.outputs, chosen.results, strict=True):
                self.note(value, result)
            return chosen.nodes
        if condition is not node.inputs[0]:
            node = replace(node, inputs=(condition,), blocks=blocks)
        asked = self.narrowings.get(condition.name) if isinstance(condition, Ref) else None
        return [self.handing_on(node, asked or _NOTHING)]

    def answers(self, asked: Narrowing) -> Sequence[Mapping[str, Operand]]:
        """Which values are known in each arm of a branch, as they ask what its condition tells."""
        known: list[dict[str, Operand]] = [{}, {}]
        if asked.yes or asked.no:
            for name, narrowing in self.narrowings.items():
                for arm, answer in zip(known, narrowing.answers(asked), strict=True):
                    arm.update({} if answer is None else {name: Const(answer)})
        return known

    def arm(self, block: Block, answers: Mapping[str, Operand], there: Iterable[str]) -> Block:
        """A block in which some values are known, and some are not None."""
        around = self.answered, self.there
        self.answered, self.there = {**self.answered, **answers}, self.there.union(there)
        made = self.block(block)
        self.answered, self.there = around
        return made

    def handing_on(self, node: Node, told: Narrowing = _NOTHING) -> Node:
        """A branch or context; ``told`` is what its condition tells."""
        there = map(told.there, (True, False))
        blocks = tuple(map(self.arm, node.blocks, self.answers(told), there))
        asked = [block for block in blocks if not raises(block)] or blocks
        outputs = tuple(
            map(self.narrowed, node.outputs, zip(*(b.results for b in asked), strict=True))
        )
        if not same((*blocks, *outputs), (*node.blocks, *node.outputs)):
            node = replace(node, blocks=blocks, outputs=outputs)
        made = {value.name for block in blocks for inner in walk(block) for value in inner.outputs}
        made |= {value.name for block in blocks for value in block.parameters}
        seen: dict[object, Value] = {}
        for index, value in enumerate(node.outputs):
            given = tuple(block.results[index] for block in asked)
            if value.type == "NoneType":
                self.note(value, Const(None))
            elif (one := self.only(given, made)) is not None and self.fits(value, given, one):
                self.note(value, one)
            elif given == (Const(True), Const(False)):
                self.note(value, node.inputs[0])
            elif (known := self.asked_twice(node, given, made)) is not None:
                self.note(value, known)
            elif (other := seen.setdefault((given, value.type), value)) is not value:
                self.note(value, Ref(other.name))
        return node

    def opened(self, node: Node) -> Node:
        """A context that hands on a new tuple, with the items where somebody takes it apart."""
        (block,) = node.blocks
        outputs, results = list(node.outputs), list(block.results)
        for value, result in zip(node.outputs, block.results, strict=True):
            items = self.items(result)
            if items is None or Ref(value.name) not in self.taken or value.name in self.tuples:
                continue
            inside = [item for item in items if isinstance(item, Ref)]
            handed = {item: self.alike(item.name) for item in inside}
            outputs += handed.values()
            results += handed
            self.tuples[value.name] = [
                Ref(handed[item].name) if isinstance(item, Ref) else item for item in items
            ]
        if same(outputs, node.outputs):
            return node
        return replace(
            node, outputs=tuple(outputs), blocks=(replace(block, results=tuple(results)),)
        )

    def narrowed(self, value: Value, given: Sequence[Operand]) -> Value:
        """A value that may not be None if nothing that is given is."""
        kind = value.type.removeprefix("Optional[")
        there = Ref(value.name) in self.solid or all(operand in self.solid for operand in given)
        if kind == value.type or not there:
            return value
        return replace(value, type=kind.removesuffix("]"))

    def only(self, given: Sequence[Operand], made: AbstractSet[str]) -> Operand | None:
        """What all that is given is, where it is set at all: if it is not made here."""
        one, *others = dict.fromkeys(o for o in given if o not in self.unset) or given[:1]
        inside = isinstance(one, Ref) and one.name in made
        return None if others or inside else one

    def fits(self, value: Value, given: Sequence[Operand], one: Operand) -> bool:
        """Whether what may be None can be taken for a value, which an arm knows not to be None."""
        certain = self.unset.isdisjoint(given) or one in self.solid
        return certain or value.type.startswith(("Optional", "Union", "Any"))

    def asked_twice(
        self, node: Node, given: Sequence[Operand], made: AbstractSet[str]
    ) -> Operand | None:
        """The value that an ``and`` or ``or`` is which asks first what the value tells as well."""
        match node.inputs, given:
            case (Ref(first),), (Ref(name), Const(False)) | (Const(True), Ref(name)):
                asked = self.narrowings.get(first, Narrowing())
                known = self.narrowings.get(name, Narrowing())
                told = known.excludes(asked) if given[0] == Const(True) else known.implies(asked)
                return Ref(name) if told and name not in made else None
        return None

    def loop(self, node: Node) -> Sequence[Node]:
        trips, start, *first = node.inputs
        if trips == Const(0) or start == Const(False):
            for value, operand in zip(node.outputs, first, strict=True):
                self.note(value, operand)
            return []
        block = self.block(node.blocks[0])
        inside, following = block.parameters[1:], block.results[1:]
        carried = list(zip(node.outputs, inside, first, following, strict=True))
        made = {value.name for inner in walk(block) for value in inner.outputs}
        made |= {value.name for value in block.parameters}
        for after, value, *given in carried:
            if value.type == "NoneType":
                self.note(value, Const(None))
                self.note(after, Const(None))
            elif (one := self.only([o for o in given if o != Ref(value.name)], made)) is not None:
                self.note(value, one)
                self.note(after, one)
        groups = equal_values(
            [(operand, value.type) for _, value, operand, _ in carried],
            [value.name for value in inside],
            following,
        )
        for (after, value, *_), index in zip(carried, groups, strict=True):
            if carried[index][1] is not value:
                self.note(value, Ref(carried[index][1].name))
                self.note(after, Ref(carried[index][0].name))
        return [node if block is node.blocks[0] else replace(node, blocks=(block,))]


def _taken_apart(body: Block) -> AbstractSet[Operand]:
    """What items are taken from, also after contexts have handed it on."""
    found = {n.inputs[0] for n in walk(body) if n.operation in (Builtin("getitem"), _UNPACK)}
    for node in walk(body):
        if isinstance(node.operation, With):
            handed = zip(node.outputs, node.blocks[0].results, strict=True)
            found |= {result for value, result in handed if Ref(value.name) in found}
    return found


def _class(kind: Symbol) -> Any:
    return resolve(kind.name)


def _constant(node: Node) -> Const | None:
    """What a node computes from constants."""
    if len(node.outputs) != 1 or node.keywords:
        return None
    if any(isinstance(o, Const) and isinstance(o.value, Symbol) for o in node.inputs):
        return None  # That may be a member of an enum, which is more than its value.
    return folded(node.operation, node.inputs)
